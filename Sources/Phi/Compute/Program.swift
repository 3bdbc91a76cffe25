import CPhiKernels

/// A list of operations, written down first and then done by all threads in one parallel region, so that between two steps
/// threads only wait for each other's work. Its room is made once; a list that outgrows it is done in parts.
final class Program {
    private let threads: Int
    private let steps: Buffer<phi_step>
    private let arguments: Buffer<UInt8>
    private let shares: Buffer<UInt64>
    private var stepCount = 0
    private var argumentBytes = 0

    /// A program for `threads` threads, with room for about `capacity` steps.
    init(threads: Int, capacity: Int) throws(SessionError) {
        self.threads = threads
        steps = try Buffer(max(16, capacity))
        arguments = try Buffer(steps.count * 192)
        shares = try Buffer(threads * phi_share_stride(steps.count))
    }

    /// Writes down all `items` of `operation`. It waits for all steps before it, or may run `concurrentWithPrevious` one.
    func add<Arguments: BitwiseCopyable>(
        _ operation: phi_operation, items: Int, _ value: Arguments, concurrentWithPrevious: Bool = false
    ) {
        let size = roundUp(MemoryLayout<Arguments>.size, to: 16)
        if stepCount == steps.count || argumentBytes + size > arguments.count { run() }
        let place = UnsafeMutableRawPointer(arguments.start + argumentBytes)
        place.storeBytes(of: value, as: Arguments.self)
        steps.start[stepCount] = phi_step(
            operation: operation, args: place, items: items, waits: !concurrentWithPrevious, done: 0)
        stepCount += 1
        argumentBytes += size
    }

    /// Does what is written down and begins a new list.
    func run() {
        phi_run(Int32(threads), steps.start, stepCount, shares.start)
        stepCount = 0
        argumentBytes = 0
    }
}
