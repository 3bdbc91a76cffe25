import CPhiKernels
import Phi
import PhiFormat

/// What this machine can do at most with a number of threads: the two ceilings under decode and prefill.
public struct MachineLimits: Sendable {
    /// Bytes a second that the threads can read together, from the very weights that a model reads.
    public let readRate: Double
    /// Integer operations a second, two for a product and its sum, of the vector registers' dot product. AMX can do several times as
    /// many.
    public let integerRate: Double

    /// The better of two measurements of each: what else ran on the machine meanwhile does not make the limit lower.
    public func orBetter(_ other: MachineLimits) -> MachineLimits {
        MachineLimits(
            readRate: max(readRate, other.readRate), integerRate: max(integerRate, other.integerRate))
    }

    /// Limits that are known.
    init(readRate: Double, integerRate: Double) {
        self.readRate = readRate
        self.integerRate = integerRate
    }

    /// Measures both in under a second: the best of several passes, since a limit is what can be reached.
    public init(_ model: LanguageModel, threads: Int) {
        let kernels = model.kernels.table
        readRate = model.file.withLargestRun { bytes in
            let items = bytes.count / Int(PHI_PROBE_BYTES)
            guard items > 0 else { return 0 }
            // Small models are read several times a pass, so that a pass is long enough to time.
            let repeats = max(1, (64 << 20) / bytes.count)
            let best = Self.best(of: 7) {
                for _ in 0..<repeats { Self.run(kernels.probe_read, items, bytes.baseAddress, threads) }
            }
            return Double(items * Int(PHI_PROBE_BYTES) * repeats) / best
        }
        let levels = [UInt8](repeating: 17, count: 64)
        let items = 64 * threads
        let best = levels.withUnsafeBytes { levels in
            Self.best(of: 15) { Self.run(kernels.probe_dot, items, levels.baseAddress, threads) }
        }
        integerRate = Double(items) * Double(PHI_PROBE_DOTS) * 128 / best
    }

    private static func run(_ probe: phi_operation, _ items: Int, _ memory: UnsafeRawPointer?, _ threads: Int) {
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: items) { sink in
            var arguments = phi_probe_args(memory: memory, sink: sink.baseAddress)
            phi_parallel(Int32(threads), items, probe, &arguments)
        }
    }

    private static func best(of count: Int, _ body: () -> Void) -> Double {
        let clock = ContinuousClock()
        return (0..<count).map { _ in clock.measure(body).seconds }.min() ?? .infinity
    }
}

extension PhiFile {
    /// The bytes of the blocks' matrices, which lie together and are nearly all of the file; all of a file that is tiny.
    fileprivate func withLargestRun<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let matrices = sections.filter { $0.name.hasPrefix("block.") }
        let start = matrices.first?.offset ?? 0
        let end = matrices.last.map { $0.offset + $0.length } ?? 0
        let isTiny = end - start < 1 << 20
        return body(isTiny ? mapping.bytes : UnsafeRawBufferPointer(rebasing: mapping.bytes[start..<end]))
    }
}
