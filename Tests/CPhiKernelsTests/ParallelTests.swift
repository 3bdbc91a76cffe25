import CPhiKernels
import Foundation
import Synchronization
import Testing

/// Threads execute the items of steps: each once, in the order of steps, and steal unclaimed items from each other.
struct ParallelTests {
    @Test(arguments: [Int32(1), 2, 3, 8], [0, 1, 2, 7, 100, 10_001])
    func executesEveryItemOnce(threads: Int32, items: Int) {
        var counts = [Int32](repeating: 0, count: items)
        counts.withUnsafeMutableBufferPointer { counts in
            phi_parallel(
                threads, items,
                { counts, begin, end in
                    guard let counts = UnsafeMutableRawPointer(mutating: counts) else { return }
                    for i in begin..<end { counts.assumingMemoryBound(to: Int32.self)[i] += 1 }
                }, counts.baseAddress)
        }
        #expect(counts.allSatisfy { $0 == 1 })
    }

    /// Four steps a round: a check, an empty step, and two concurrent ones that each add one to every value of their half.
    @Test(arguments: [Int32(1), 2, 3, 8])
    func stepsWaitForTheStepsBefore(threads: Int32) {
        struct Arguments {
            var values: UnsafeMutablePointer<Int32>
            var count: Int
            var round: Int32
            var faults: UnsafeMutablePointer<Int32>
        }
        let items = 50, rounds = 200
        let values = UnsafeMutablePointer<Int32>.allocate(capacity: 2 * items)
        let faults = UnsafeMutablePointer<Int32>.allocate(capacity: items)
        let arguments = UnsafeMutablePointer<Arguments>.allocate(capacity: 2 * rounds)
        defer {
            values.deallocate()
            faults.deallocate()
            arguments.deallocate()
        }
        values.initialize(repeating: 0, count: 2 * items)
        faults.initialize(repeating: 0, count: items)
        let check: phi_operation = { raw, begin, end in
            guard let a = raw?.assumingMemoryBound(to: Arguments.self).pointee else { return }
            for i in begin..<end {
                for j in 0..<2 * a.count where a.values[j] != a.round { a.faults[i] += 1 }
            }
        }
        let add: phi_operation = { raw, begin, end in
            guard let a = raw?.assumingMemoryBound(to: Arguments.self).pointee else { return }
            for i in begin..<end { a.values[i] += 1 }
        }
        var steps: [phi_step] = []
        for round in 0..<rounds {
            let halves = (0..<2).map { half in
                let place = arguments + 2 * round + half
                place.initialize(
                    to: Arguments(values: values + half * items, count: items, round: Int32(round), faults: faults))
                return UnsafeRawPointer(place)
            }
            steps += [
                phi_step(operation: check, args: halves[0], items: items, waits: true, done: 0),
                phi_step(operation: check, args: halves[0], items: 0, waits: true, done: 0),
                phi_step(operation: add, args: halves[0], items: items, waits: true, done: 0),
                phi_step(operation: add, args: halves[1], items: items, waits: false, done: 0),
            ]
        }
        run(&steps, threads: threads)
        #expect((0..<items).allSatisfy { faults[$0] == 0 })
        #expect((0..<2 * items).allSatisfy { values[$0] == rounds })
    }

    /// One thread is free in each step while the others are held at the first range they claim. It must execute more than
    /// its own share: all items but those that are held.
    @Test(arguments: Array(2...8), [64, 1000])
    func idleThreadsStealUnclaimedItems(threads: Int, items: Int) {
        let waits = [true, true, false, true, false, true]
        var stalled: [StalledStep] = []
        for index in waits.indices {
            // A step that does not wait may begin before the step before it is done.
            let done = waits[index] ? stalled : stalled.dropLast()
            stalled.append(StalledStep(items: items, after: Array(done)))
        }
        var steps = zip(stalled, waits).map { step, waits in
            phi_step(
                operation: { StalledStep.execute($0, $1, $2) }, args: Unmanaged.passUnretained(step).toOpaque(),
                items: items, waits: waits, done: 0)
        }
        withExtendedLifetime(stalled) { run(&steps, threads: Int32(threads)) }
        for (index, step) in stalled.enumerated() {
            #expect(step.counts.allSatisfy { $0 == 1 }, "step \(index)")
            #expect(step.itemsOfFreeThread > (items + threads - 1) / threads, "step \(index)")
            #expect(step.faults.load(ordering: .relaxed) == 0, "step \(index)")
        }
    }

    /// Regions that several threads enter at once have teams of their own, which later regions use again.
    @Test func regionsOfSeveralThreadsAreApart() async {
        let sums = await withTaskGroup(of: Int.self) { group in
            for task in 0..<6 {
                group.addTask {
                    (1...200).reduce(0) { sum, round in
                        let total = Atomic(0)
                        withUnsafePointer(to: total) { place in
                            phi_parallel(
                                Int32(1 + (task + round) % 5), 100,
                                { raw, begin, end in
                                    let total = raw?.assumingMemoryBound(to: Atomic<Int>.self)
                                    total?.pointee.wrappingAdd(end - begin, ordering: .relaxed)
                                }, place)
                        }
                        return sum + total.load(ordering: .relaxed)
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(sums == Array(repeating: 20_000, count: 6))
    }

    /// Operations run on a large stack and with the default arithmetic, whatever the caller's thread has.
    @Test(arguments: [Int32(1), 2, 3, 5], [64, 128, 512])
    func theCallersThreadDoesNotMatter(threads: Int32, kilobytes: Int) {
        let observed = Observed()
        let isDone = DispatchSemaphore(value: 0)
        let thread = Thread {
            fesetround(FE_UPWARD)
            observed.run(threads: threads)
            isDone.signal()
        }
        thread.stackSize = kilobytes << 10
        thread.start()
        isDone.wait()
        #expect(observed.items.load(ordering: .relaxed) == 10 * 300)
        #expect(observed.onSmallStacks.load(ordering: .relaxed) == 0)
        #expect(observed.roundedUp.load(ordering: .relaxed) == 0)
        #expect(observed.reserved.load(ordering: .relaxed) == Int(threads))
        let isRestored = observed.isRestored.load(ordering: .relaxed)
        #expect(isRestored)
    }

    @Test func startsTheThreadsThatAreAskedFor() {
        #expect(phi_reserve_threads(1) == 1)
        #expect(phi_reserve_threads(5) == 5)
        #expect(phi_reserve_threads(3) == 3)
    }

    private func run(_ steps: inout [phi_step], threads: Int32) {
        var shares = [UInt64](repeating: 1, count: Int(threads) * phi_share_stride(steps.count))
        phi_run(threads, &steps, steps.count, &shares)
    }
}

/// Counts where items are done, and how.
private final class Observed: Sendable {
    let items = Atomic(0), onSmallStacks = Atomic(0), roundedUp = Atomic(0)
    /// Threads that there were.
    let reserved = Atomic(0)
    /// Whether the caller's arithmetic was its own again.
    let isRestored = Atomic(false)
    // Read, so that the compiler does not add them.
    private let one = Float("1") ?? 0
    private let little = Float("1e-10") ?? 0

    func run(threads: Int32) {
        reserved.store(Int(phi_reserve_threads(threads)), ordering: .relaxed)
        var shares = [UInt64](repeating: 1, count: Int(threads) * phi_share_stride(3))
        for _ in 0..<10 {
            var steps = [100, 0, 200].map { items in
                phi_step(
                    operation: { Observed.execute($0, $1, $2) }, args: Unmanaged.passUnretained(self).toOpaque(),
                    items: items, waits: true, done: 0)
            }
            phi_run(threads, &steps, steps.count, &shares)
        }
        isRestored.store(fegetround() == FE_UPWARD, ordering: .relaxed)
    }

    private static func execute(_ arguments: UnsafeRawPointer?, _ begin: Int, _ end: Int) {
        guard let arguments else { return }
        let observed = Unmanaged<Observed>.fromOpaque(arguments).takeUnretainedValue()
        observed.items.add(end - begin, ordering: .relaxed)
        if phi_stack_left() < Int(PHI_STACK_BYTES) * 7 / 8 { observed.onSmallStacks.add(1, ordering: .relaxed) }
        if observed.one + observed.little != observed.one { observed.roundedUp.add(1, ordering: .relaxed) }
    }
}

/// A step in which the first thread to come is free, and every other one is held at the range that it claims until the free
/// thread has executed all items that no thread holds. Without work stealing that would take for ever.
private final class StalledStep: @unchecked Sendable {
    /// How often each item was executed; plain memory, whose values `phi_run` must make visible to later steps.
    let counts: UnsafeMutableBufferPointer<Int>
    private(set) var itemsOfFreeThread = 0
    /// Ranges that were executed before their predecessors, and threads that were held too long.
    let faults = Atomic(0)
    private let predecessors: [StalledStep]
    private let freeThread = Atomic<UInt>(0)
    /// Items that the free thread has executed or another one holds.
    private let claimed = Atomic(0)

    init(items: Int, after predecessors: [StalledStep]) {
        counts = .allocate(capacity: items)
        counts.initialize(repeating: 0)
        self.predecessors = predecessors
    }

    deinit { counts.deallocate() }

    static func execute(_ arguments: UnsafeRawPointer?, _ begin: Int, _ end: Int) {
        guard let arguments else { return }
        Unmanaged<StalledStep>.fromOpaque(arguments).takeUnretainedValue().execute(begin..<end)
    }

    private func execute(_ range: Range<Int>) {
        let isInOrder = predecessors.allSatisfy { $0.counts.allSatisfy { $0 == 1 } }
        if !isInOrder { faults.add(1, ordering: .relaxed) }
        let thread = UInt(bitPattern: ObjectIdentifier(Thread.current))
        let free = freeThread.compareExchange(expected: 0, desired: thread, ordering: .relaxed)
        if free.exchanged || free.original == thread {
            for item in range { counts[item] += 1 }
            itemsOfFreeThread += range.count
            claimed.add(range.count, ordering: .relaxed)
            return
        }
        claimed.add(range.count, ordering: .relaxed)
        let start = ContinuousClock.now
        while claimed.load(ordering: .relaxed) < counts.count {
            if start.duration(to: .now) > .seconds(60) {
                faults.add(1, ordering: .relaxed)
                break
            }
            usleep(20)
        }
        for item in range { counts[item] += 1 }
    }
}
