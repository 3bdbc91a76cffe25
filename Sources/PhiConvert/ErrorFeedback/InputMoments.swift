import CPhiKernels
import Phi
import PhiFormat

/// Sums of x xᵀ over the inputs x of a matrix, and of (e - x) xᵀ where e is what the input would be if nothing had been rounded:
/// in blocks on the diagonal only, since all of them would cost a wide matrix most of a conversion's time and gain little.
///
/// Inputs are quantised by columns to integers of -64 to 64, with a scale for each run of up to 256 tokens, so that sums over tokens
/// are exact integer products: the rounding adds at most 1% to a column's own sum, usually less than 0.1%, which is little beside
/// what is added to the diagonal anyway. Of x xᵀ only the diagonal and the elements above it are computed. Memory: width x block width
/// floats, twice with drift, and until ``finish()`` 1024 bytes for each column, twice with drift.
package final class InputMoments {
    /// Columns of the matrix.
    package let width: Int
    /// Columns of a block, a multiple of those that share a scale; the last may have fewer.
    package let blockWidth: Int
    /// x xᵀ, [width to a multiple of 16][blockWidth], each row of its own block; zero beyond the width, undefined below the diagonal.
    package let sums: FloatBuffer
    /// (e - x) xᵀ in the same shape; nil when no e is known.
    package let drift: FloatBuffer?

    private let kernels: Kernels
    private let threads: Int32
    /// The inputs that have not been summed yet, and their drift.
    private var inputs, drifts: QuantisedColumns?
    private var runs = 0

    /// Runs that are summed at a time.
    private static let mostRuns = 4
    /// Tokens of a run at most.
    package static let runTokens = Int(PHI_GRAM_TOKENS)
    /// Columns of a block at most: all of phi-1's hidden ones.
    package static let widestBlock = 2048
    /// Columns of an output projection's block at most: narrower blocks cost it less accuracy than an input projection.
    static let widestOutputBlock = 1024

    package init(
        width: Int, widestBlock: Int = widestBlock, withDrift: Bool = false, kernels: Kernels, threads: Int32
    ) {
        self.width = width
        self.kernels = kernels
        self.threads = threads
        let blocks = (width + widestBlock - 1) / widestBlock
        let unit = TensorEncoding.blockColumns, tileRows = TensorEncoding.tileRows
        blockWidth = ((width + blocks - 1) / blocks + unit - 1) / unit * unit
        let count = (width + tileRows - 1) / tileRows * tileRows * blockWidth
        sums = FloatBuffer(count)
        drift = withDrift ? FloatBuffer(count) : nil
        inputs = QuantisedColumns(columns: width, runs: Self.mostRuns)
        drifts = withDrift ? QuantisedColumns(columns: width, runs: Self.mostRuns) : nil
    }

    /// The columns of each block.
    var blocks: [Range<Int>] {
        stride(from: 0, to: width, by: blockWidth).map { $0..<min($0 + blockWidth, width) }
    }

    /// Adds `rows` inputs, which begin at `x` and are `rowStride` floats apart, in runs from the first on; at `exact`, in the same
    /// layout, are the inputs as they would be without rounding.
    package func add(
        _ x: UnsafePointer<Float>, _ rowStride: Int, rows: Int, exact: UnsafePointer<Float>? = nil
    ) {
        guard let inputs else { preconditionFailure("inputs are added before the sums are finished") }
        for first in stride(from: 0, to: rows, by: Self.runTokens) {
            let place = first * rowStride
            var arguments = phi_quantise_columns_args(
                x: x + place, less: nil, x_stride: rowStride, columns: width, tokens: min(Self.runTokens, rows - first),
                q: nil, scales: nil, zero_corrections: nil)
            inputs.set(run: runs, &arguments, kernels, threads)
            if let exact, let drifts {
                (arguments.x, arguments.less) = (exact + place, x + place)
                drifts.set(run: runs, &arguments, kernels, threads)
            }
            runs += 1
            if runs == Self.mostRuns { flush() }
        }
    }

    /// Sums the inputs that have not been summed yet, after which none can be added.
    package func finish() {
        flush()
        (inputs, drifts) = (nil, nil)
    }

    private func flush() {
        guard runs > 0, let inputs else { return }
        func add(_ left: QuantisedColumns, to sums: FloatBuffer, upper: Bool) {
            var arguments = phi_gram_args(
                left: left.codes, right: inputs.codes, left_scales: left.scales.base, right_scales: inputs.scales.base,
                zero_corrections: left.zeroCorrections, columns: width, runs: runs, block: blockWidth, upper: upper,
                sums: sums.base)
            phi_parallel(threads, phi_gram_items(&arguments), kernels.table.gram, &arguments)
        }
        add(inputs, to: sums, upper: true)
        if let drifts, let drift { add(drifts, to: drift, upper: false) }
        runs = 0
    }
}

/// Columns of inputs quantised by the kernel `quantise_columns`, in runs of tokens, and the memory for them.
private final class QuantisedColumns {
    /// [runs][columns to a multiple of 16] of 256 codes, a scale and a zero correction each.
    let codes: UnsafeMutablePointer<Int8>
    let scales: FloatBuffer
    let zeroCorrections: UnsafeMutablePointer<Int32>
    private let columns: Int
    private let codeMemory, correctionMemory: FloatBuffer

    init(columns: Int, runs: Int) {
        self.columns = (columns + TensorEncoding.tileRows - 1) / TensorEncoding.tileRows * TensorEncoding.tileRows
        scales = FloatBuffer(runs * self.columns)
        correctionMemory = FloatBuffer(runs * self.columns)
        codeMemory = FloatBuffer(runs * self.columns * InputMoments.runTokens / 4)
        codes = codeMemory.bound(to: Int8.self)
        zeroCorrections = correctionMemory.bound(to: Int32.self)
    }

    /// Quantises the inputs that `arguments` describes as run number `run`.
    func set(run: Int, _ arguments: inout phi_quantise_columns_args, _ kernels: Kernels, _ threads: Int32) {
        arguments.q = codes + run * columns * InputMoments.runTokens
        arguments.scales = scales.base + run * columns
        arguments.zero_corrections = zeroCorrections + run * columns
        phi_parallel(
            threads, phi_quantise_columns_items(arguments.columns), kernels.table.quantise_columns, &arguments)
    }
}
