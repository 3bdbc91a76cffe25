import CPhiKernelCases
import CPhiKernels
import Phi

/// Times single kernel operations on phi-1's shapes, for one instruction set and number of threads.
package struct KernelBenchmark {
    /// Times and rates of one case.
    package struct Result: Sendable {
        /// The operation's name in `operations.inc`.
        package let operation: String
        /// The shape as text.
        package let shape: String
        /// Nanoseconds of one run, for each of the samples.
        package let samples: [Double]
        /// Bytes that a run must read and write, over the median: 10^9 bytes a second.
        package let gigabytesPerSecond: Double
        /// Multiplications and additions, over the median: 10^12 a second; 0 for operations that only move or convert.
        package let teraOperationsPerSecond: Double
    }

    private let kernels: Kernels
    private let threads: Int
    private let repetitions: Int

    /// A benchmark that takes `repetitions` samples of each operation.
    package init(_ kernels: Kernels, threads: Int, repetitions: Int) {
        self.kernels = kernels
        self.threads = threads
        self.repetitions = repetitions
    }

    /// Names of all operations that are timed.
    package static let operations: [String] = (0..<phi_operation_count()).filter { phi_timed_case_count($0, 1) > 0 }
        .compactMap(name).sorted()

    private static func name(of operation: Int) -> String? { phi_operation_name(operation).map { String(cString: $0) } }

    /// Times the operations called `names`, all when it is empty, for each number of `tokens`, and passes on each result
    /// as it comes.
    package func run(_ names: [String], tokens: [Int], body: (Result) throws -> Void) rethrows {
        for tokens in tokens {
            for operation in 0..<phi_operation_count() {
                guard let name = Self.name(of: operation), names.isEmpty || names.contains(name) else { continue }
                for index in 0..<phi_timed_case_count(operation, tokens) {
                    try body(time(operation, name, phi_timed_case_at(operation, tokens, index)))
                }
            }
        }
    }

    private func time(_ operation: Int, _ name: String, _ shape: phi_case_shape) -> Result {
        var shape = shape, item = phi_case()
        // Copies of weights and keys that fit no cache, so that they come from memory as in a decoded token.
        phi_case_prepare(&item, operation, &shape, 1, GUARDED_BEFORE, 192 << 20)
        defer { phi_case_release(&item) }
        let function = withUnsafePointer(to: kernels.table) { phi_operation_at($0, operation) }
        var run = 0
        func seconds(_ count: Int) -> Double {
            ContinuousClock().measure {
                for _ in 0..<count {
                    phi_parallel(Int32(threads), item.items, function, phi_case_arguments(&item, run))
                    run += 1
                }
            }.seconds
        }
        _ = seconds(1)
        // As many runs as make a sample of a twentieth of a second, so that the clock does not matter.
        let count = min(100_000, max(1, Int(0.05 / max(1e-7, seconds(1)))))
        let samples = (0..<repetitions).map { _ in seconds(count) * 1e9 / Double(count) }
        let middle = median(samples)
        return Result(
            operation: name, shape: String(describing: operation, shape), samples: samples,
            gigabytesPerSecond: item.bytes / middle, teraOperationsPerSecond: item.arithmetic / middle / 1e3)
    }
}

extension String {
    /// The shape of a case of an operation.
    fileprivate init(describing operation: Int, _ shape: phi_case_shape) {
        var shape = shape
        self = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 80) { text in
            phi_case_describe(operation, &shape, text.baseAddress, text.count)
            return text.baseAddress.map { String(cString: $0) } ?? ""
        }
    }
}
