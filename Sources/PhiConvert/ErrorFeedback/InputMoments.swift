import Phi
import PhiFormat

/// Sums of x xᵀ over the inputs x of a matrix, and of (e - x) xᵀ where e is what the input would be if nothing had been rounded:
/// in blocks on the diagonal only, since all of them would cost a wide matrix most of a conversion's time and gain little.
///
/// A sum over tokens is a matrix product, computed by the kernel for f32 matrices, 256 tokens at a time; of x xᵀ only the
/// diagonal and the elements above it. Memory: width x block width floats, twice with drift, and until ``finish()`` 256 x width
/// floats two or three times.
package final class InputMoments {
    /// Columns of the matrix.
    package let width: Int
    /// Columns of a block, a multiple of those that share a scale; the last may have fewer.
    package let blockWidth: Int
    /// x xᵀ, [width][blockWidth], each row of its own block; zero beyond the width, undefined below the diagonal.
    package let sums: FloatBuffer
    /// (e - x) xᵀ in the same shape with memory for 16 more rows; nil when no e is known.
    package let drift: FloatBuffer?

    private let product: FloatProduct
    private var transposed: Transposed?
    private var count = 0

    /// The inputs that have not been summed yet, transposed.
    private struct Transposed {
        let inputs: FloatBuffer  // x, [width][chunk]
        let drift: FloatBuffer  // e - x, [width][chunk], or empty
        let encoder: TileEncoder
    }

    /// Tokens that are summed at a time.
    private static let chunk = 256
    /// Rows that are summed from the same column on.
    private static let band = 960
    /// Columns of a block at most: all of phi-1's hidden ones.
    package static let widestBlock = 2048

    package init(
        width: Int, widestBlock: Int = widestBlock, withDrift: Bool = false, kernels: Kernels, threads: Int32
    ) {
        self.width = width
        product = FloatProduct(kernels: kernels, threads: threads)
        let blocks = (width + widestBlock - 1) / widestBlock
        let unit = TensorEncoding.blockColumns
        blockWidth = ((width + blocks - 1) / blocks + unit - 1) / unit * unit
        sums = FloatBuffer(width * blockWidth)
        drift = withDrift ? FloatBuffer((width + TensorEncoding.tileRows) * blockWidth) : nil
        transposed = Transposed(
            inputs: FloatBuffer(width * Self.chunk), drift: FloatBuffer(withDrift ? width * Self.chunk : 0),
            encoder: TileEncoder(.f32, kernels, threads, rows: width, columns: Self.chunk))
    }

    /// The columns of each block.
    var blocks: [Range<Int>] {
        stride(from: 0, to: width, by: blockWidth).map { $0..<min($0 + blockWidth, width) }
    }

    /// Adds `rows` inputs, which begin at `x` and are `rowStride` floats apart; at `exact`, in the same layout, are the inputs as
    /// they would be without rounding.
    package func add(
        _ x: UnsafePointer<Float>, _ rowStride: Int, rows: Int, exact: UnsafePointer<Float>? = nil
    ) {
        guard let transposed else { preconditionFailure("inputs are added before the sums are finished") }
        let inputs = transposed.inputs.elements(0, width * Self.chunk)
        let differences = transposed.drift.elements(0, transposed.drift.count)
        for row in 0..<rows {
            let x = x + row * rowStride
            for column in 0..<width { inputs[column * Self.chunk + count] = x[column] }
            if let exact, drift != nil {
                let exact = exact + row * rowStride
                for column in 0..<width { differences[column * Self.chunk + count] = exact[column] - x[column] }
            }
            count += 1
            if count == Self.chunk { flush() }
        }
    }

    /// Sums the inputs that have not been summed yet, after which none can be added.
    package func finish() {
        flush()
        transposed = nil
    }

    private func flush() {
        guard count > 0, let transposed else { return }
        for buffer in [transposed.inputs, transposed.drift] where count < Self.chunk && buffer.count > 0 {
            let elements = buffer.elements(0, width * Self.chunk)
            for column in 0..<width {
                for token in count..<Self.chunk { elements[column * Self.chunk + token] = 0 }
            }
        }
        count = 0
        _ = transposed.encoder.encode(transposed.inputs, rows: width)
        transposed.encoder.withTiles { tiles in
            let tileBytes = tiles.count / ((width + TensorEncoding.tileRows - 1) / TensorEncoding.tileRows)
            func add(_ left: FloatBuffer, _ rows: Range<Int>, times columns: Range<Int>, to sums: FloatBuffer) {
                let place = sums.base + rows.lowerBound * blockWidth + columns.lowerBound % blockWidth
                product.run(
                    FloatProduct.Rows(
                        start: left.base + rows.lowerBound * Self.chunk, stride: Self.chunk, count: rows.count),
                    by: tiles.baseAddress.map { $0 + columns.lowerBound / TensorEncoding.tileRows * tileBytes },
                    rows: columns.count, columns: Self.chunk,
                    into: FloatProduct.Output(start: place, stride: blockWidth), accumulate: true)
            }
            for block in blocks {
                for first in stride(from: block.lowerBound, to: block.upperBound, by: Self.band) {
                    let rows = first..<min(first + Self.band, block.upperBound)
                    add(transposed.inputs, rows, times: first..<block.upperBound, to: sums)
                }
                if let drift { add(transposed.drift, block, times: block, to: drift) }
            }
        }
    }
}
