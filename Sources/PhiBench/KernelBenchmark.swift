import CPhiKernels
import Phi
import PhiKernelCases

/// Times single kernel operations on phi-1's shapes, for one instruction set and number of threads.
public struct KernelBenchmark {
    /// What an operation took.
    public struct Result: Sendable {
        /// The operation's name in `operations.inc`.
        public let operation: String
        /// The shape, for people.
        public let shape: String
        /// Nanoseconds of one run, for each of the samples.
        public let samples: [Double]
        /// Bytes that a run must read and write, over the median: 10^9 bytes a second.
        public let gigabytesPerSecond: Double
        /// Multiplications and additions, over the median: 10^12 a second; 0 for operations that only move or convert.
        public let teraOperationsPerSecond: Double
    }

    private let kernels: Kernels
    private let threads: Int
    private let repetitions: Int

    /// A benchmark that takes `repetitions` samples of each operation.
    public init(_ kernels: Kernels, threads: Int, repetitions: Int) {
        self.kernels = kernels
        self.threads = threads
        self.repetitions = repetitions
    }

    /// Names of all operations that are timed.
    public static let operations: [String] = Array(Set(cases(tokens: [1]).map(\.operation))).sorted()

    /// Times the operations called `names`, all when it is empty, for each number of `tokens`, and passes on each result
    /// as it comes.
    public func run(_ names: [String], tokens: [Int], body: (Result) throws -> Void) rethrows {
        for item in Self.cases(tokens: tokens) where names.isEmpty || names.contains(item.operation) {
            guard let operation = kernelOperation(item.operation, of: kernels.table) else { continue }
            try body(time(item, operation))
        }
    }

    private static func cases(tokens: [Int]) -> [KernelCase] {
        KernelCase.phi1(WeightEncoding.quantised, tokens: tokens)
    }

    private func time(_ item: KernelCase, _ operation: phi_operation) -> Result {
        // More than any cache, so that weights come from memory as they do in a decoded token.
        let run = item.prepare(spread: 192 << 20)
        let clock = ContinuousClock()
        func seconds(_ count: Int) -> Double {
            clock.measure { for _ in 0..<count { run.run(operation, threads: threads) } }.seconds
        }
        _ = seconds(1)
        // As many runs as make a sample of a twentieth of a second, so that the clock does not matter.
        let count = min(100_000, max(1, Int(0.05 / max(1e-7, seconds(1)))))
        let samples = (0..<repetitions).map { _ in seconds(count) * 1e9 / Double(count) }
        let middle = median(samples)
        return Result(
            operation: item.operation, shape: item.shape, samples: samples,
            gigabytesPerSecond: Double(run.bytes) / middle, teraOperationsPerSecond: run.arithmetic / middle / 1e3)
    }
}
