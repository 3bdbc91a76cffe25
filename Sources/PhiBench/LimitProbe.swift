import CPhiKernels
import Phi
import PhiFormat

/// Measures a machine's limits by and by, in moments of a few milliseconds between what is timed: how fast memory and cores are changes
/// within seconds on a machine that is shared, and a share means something only if both sides of it are of the same time.
struct LimitProbe {
    private let model: LanguageModel
    private let threads: Int
    private var readRates: [Double] = [], integerRates: [Double] = []
    private var position = 0

    private static let chunk = 64 << 20
    private static let levels = [UInt8](repeating: 17, count: 64)

    init(_ model: LanguageModel, threads: Int) {
        self.model = model
        self.threads = threads
    }

    /// The medians of all measurements, so that one during which the system did something else does not count.
    var limits: MachineLimits {
        MachineLimits(readRate: median(readRates), integerRate: median(integerRates))
    }

    /// Reads as many weights as fit no cache, other ones each time.
    mutating func read() {
        let item = Int(PHI_PROBE_BYTES)
        let rate: Double? = model.file.withLargestRun { bytes in
            let count = min(bytes.count, Self.chunk) / item
            guard count > 0 else { return nil }
            if position + count * item > bytes.count { position = 0 }
            let memory = bytes.baseAddress.map { $0 + position }
            position += count * item
            // Small models are read several times, so that it is long enough to time.
            let repeats = Self.chunk / (count * item)
            let seconds = time { for _ in 0..<repeats { run(model.kernels.table.probe_read, count, memory) } }
            return Double(repeats * count * item) / seconds
        }
        if let rate { readRates.append(rate) }
    }

    /// Makes dots from registers.
    mutating func multiply() {
        let items = 64 * threads
        let seconds = Self.levels.withUnsafeBytes { levels in
            time { run(model.kernels.table.probe_dot, items, levels.baseAddress) }
        }
        integerRates.append(Double(items) * Double(PHI_PROBE_DOTS) * 128 / seconds)
    }

    private func run(_ probe: phi_operation, _ items: Int, _ memory: UnsafeRawPointer?) {
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: items) { sink in
            var arguments = phi_probe_args(memory: memory, sink: sink.baseAddress)
            phi_parallel(Int32(threads), items, probe, &arguments)
        }
    }

    private func time(_ body: () -> Void) -> Double { ContinuousClock().measure(body).seconds }
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
