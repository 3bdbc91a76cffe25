import Foundation
import Synchronization

/// A fuzzer of the readers of checkpoints: libFuzzer under the address sanitizer, see `make check-fuzz`.
///
///     PhiFuzz READER CORPUS-FOLDER [libFuzzer's options, or files to run again]
///
/// A fault is a crash, an error that is no `FormatError`, more than 5 s, or memory over ``MemoryLimit``.
@main
struct Fuzzer {
    /// Set once, before the first input; libFuzzer runs inputs on one thread.
    nonisolated(unsafe) static var reader: any FuzzedReader = Readers.all[0]

    static func main() throws {
        var arguments = CommandLine.arguments
        guard arguments.count >= 3, let reader = Readers.all.first(where: { $0.name == arguments[1] }) else {
            print("usage: PhiFuzz \(Readers.all.map(\.name).joined(separator: "|")) CORPUS-FOLDER [OPTION...]")
            exit(64)
        }
        self.reader = reader
        let corpus = arguments[2]
        try FileManager.default.createDirectory(atPath: corpus, withIntermediateDirectories: true)
        for (number, seed) in reader.seeds.enumerated() {
            try Data(seed).write(to: URL(fileURLWithPath: corpus + "/seed-\(number)"))
        }
        let isReplay = arguments.dropFirst(3).contains { !$0.hasPrefix("-") }
        arguments.replaceSubrange(
            1..<3,
            with: [
                "-timeout=5", "-rss_limit_mb=4096", "-artifact_prefix=\(corpus)-",
                "-print_final_stats=1",
            ])
        if !isReplay { arguments += ["-max_len=65536", corpus] }
        MemoryLimit.install()
        exit(
            runDriver(arguments) { data, size in
                Fuzzer.reader.run(Array(UnsafeBufferPointer(start: data, count: size)))
                return 0
            })
    }

    private static func runDriver(
        _ arguments: [String], _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
    ) -> CInt {
        var count = CInt(arguments.count)
        let strings = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: arguments.count + 1)
        strings.initialize(repeating: nil, count: arguments.count + 1)
        for (index, argument) in arguments.enumerated() { strings[index] = strdup(argument) }
        var pointer: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = strings
        return LLVMFuzzerRunDriver(&count, &pointer, test)
    }
}

@_extern(c) func LLVMFuzzerRunDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt
@_extern(c) func LLVMFuzzerMutate(_ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ limit: Int) -> Int
@_extern(c) func __sanitizer_install_malloc_and_free_hooks(
    _ malloc: @convention(c) (UnsafeRawPointer?, Int) -> Void, _ free: @convention(c) (UnsafeRawPointer?) -> Void
) -> CInt
@_extern(c) func __sanitizer_get_allocated_size(_ pointer: UnsafeRawPointer?) -> Int
@_extern(c) func __sanitizer_print_stack_trace()

/// Mutates by structure half of the time, and by libFuzzer's own means.
@c(LLVMFuzzerCustomMutator)
public func mutate(_ data: UnsafeMutablePointer<UInt8>, _ size: Int, _ limit: Int, _ seed: CUnsignedInt) -> Int {
    var random = FuzzRandom(seed: UInt64(seed))
    let choice = random.below(10)
    if choice < 4 { return LLVMFuzzerMutate(data, size, limit) }
    let bytes = Fuzzer.reader.mutate(Array(UnsafeBufferPointer(start: data, count: size)), &random)
    guard !bytes.isEmpty, bytes.count <= limit else { return LLVMFuzzerMutate(data, size, limit) }
    UnsafeMutableBufferPointer(start: data, count: limit).baseAddress?.update(from: bytes, count: bytes.count)
    return choice < 8 ? bytes.count : LLVMFuzzerMutate(data, bytes.count, limit)
}

/// Memory of one input: each allocation at most twice the files' bytes and 64 MiB, all live ones together eight times as much.
enum MemoryLimit {
    private static let live = Atomic<Int>(0)
    private static let oneLimit = Atomic<Int>(.max)
    private static let allLimit = Atomic<Int>(.max)

    static func install() {
        // Initialised here, as a hook must not allocate.
        _ = (live.load(ordering: .relaxed), oneLimit.load(ordering: .relaxed), allLimit.load(ordering: .relaxed))
        let installed = __sanitizer_install_malloc_and_free_hooks(
            { _, size in
                let live = MemoryLimit.live.add(size, ordering: .relaxed).newValue
                if size > MemoryLimit.oneLimit.load(ordering: .relaxed)
                    || live > MemoryLimit.allLimit.load(ordering: .relaxed)
                {
                    MemoryLimit.lift()
                    let message: StaticString = "phi: more memory than the files allow\n"
                    _ = write(2, message.utf8Start, message.utf8CodeUnitCount)
                    __sanitizer_print_stack_trace()
                    abort()
                }
            },
            { pointer in
                guard let pointer else { return }
                MemoryLimit.live.subtract(__sanitizer_get_allocated_size(pointer), ordering: .relaxed)
            })
        guard installed > 0 else { fatalError("the sanitizer takes no hooks") }
    }

    static func check(files: Int, _ body: () -> Void) {
        let limit = 2 * files + 64 << 20
        oneLimit.store(limit, ordering: .relaxed)
        allLimit.store(live.load(ordering: .relaxed) + 8 * limit, ordering: .relaxed)
        body()
        lift()
    }

    private static func lift() {
        oneLimit.store(.max, ordering: .relaxed)
        allLimit.store(.max, ordering: .relaxed)
    }
}
