import Phi
import PhiFormat

/// Sums x xᵀ over what goes into a matrix, and (e - x) xᵀ where e is what would go into it if nothing had been rounded, of columns that are in
/// the same block on the diagonal: all of them would cost a wide matrix most of a conversion's time and gain little. A sum over
/// tokens is a matrix product, so the kernel for f32 matrices takes it, 256 tokens at a time, of x xᵀ only what is on the
/// diagonal or above it.
package final class InputMoments {
    /// Columns of the matrix.
    package let width: Int
    /// Columns of a block, a multiple of those that share a scale; the last may have fewer.
    package let blockWidth: Int
    /// x xᵀ, [width][blockWidth], each row of its own block; beyond the width zero, below the diagonal nothing of meaning.
    package let sums: FloatBuffer
    /// (e - x) xᵀ in the same shape; nil when no e is known.
    package let drift: FloatBuffer?

    private let product: FloatProduct
    private let turned: FloatBuffer  // x, [width][tokens]
    private let turnedDrift: FloatBuffer  // e - x
    private let encoder: TileEncoder
    private var count = 0

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
        drift = withDrift ? FloatBuffer(width * blockWidth) : nil
        turned = FloatBuffer(width * Self.chunk)
        turnedDrift = FloatBuffer(withDrift ? width * Self.chunk : 0)
        encoder = TileEncoder(.f32, kernels, threads, rows: width, columns: Self.chunk)
    }

    /// The columns of each block.
    var blocks: [Range<Int>] {
        stride(from: 0, to: width, by: blockWidth).map { $0..<min($0 + blockWidth, width) }
    }

    /// Adds `rows` inputs, which begin at `x` and are `rowStride` floats apart, and as they would be without rounding at `exact`, as far apart.
    package func add(
        _ x: UnsafePointer<Float>, _ rowStride: Int, rows: Int, exact: UnsafePointer<Float>? = nil
    ) {
        let turned = turned.elements(0, width * Self.chunk)
        let turnedDrift = turnedDrift.elements(0, self.turnedDrift.count)
        for row in 0..<rows {
            let x = x + row * rowStride
            for column in 0..<width { turned[column * Self.chunk + count] = x[column] }
            if let exact, drift != nil {
                let exact = exact + row * rowStride
                for column in 0..<width { turnedDrift[column * Self.chunk + count] = exact[column] - x[column] }
            }
            count += 1
            if count == Self.chunk { flush() }
        }
    }

    /// Adds what has been taken and not been summed yet.
    package func flush() {
        guard count > 0 else { return }
        for buffer in [turned, turnedDrift] where count < Self.chunk && buffer.count > 0 {
            let turned = buffer.elements(0, width * Self.chunk)
            for column in 0..<width {
                for token in count..<Self.chunk { turned[column * Self.chunk + token] = 0 }
            }
        }
        count = 0
        _ = encoder.encode(turned, rows: width)
        encoder.withTiles { tiles in
            let tileBytes = tiles.count / ((width + TensorEncoding.tileRows - 1) / TensorEncoding.tileRows)
            for block in blocks {
                for first in stride(from: block.lowerBound, to: block.upperBound, by: Self.band) {
                    let rest = block.upperBound - first
                    add(
                        turned, first..<min(first + Self.band, block.upperBound), by: tiles, tileBytes, first, rest,
                        to: sums, column: first - block.lowerBound)
                }
                if let drift {
                    add(turnedDrift, block, by: tiles, tileBytes, block.lowerBound, block.count, to: drift, column: 0)
                }
            }
        }
    }

    /// Adds the products of the rows of `left` with `columns` columns of x, from `first` on, to those rows of `sums` from `column` on.
    private func add(
        _ left: FloatBuffer, _ rows: Range<Int>, by tiles: UnsafeRawBufferPointer, _ tileBytes: Int, _ first: Int,
        _ columns: Int, to sums: FloatBuffer, column: Int
    ) {
        product.run(
            FloatProduct.Rows(start: left.base + rows.lowerBound * Self.chunk, stride: Self.chunk, count: rows.count),
            by: tiles.baseAddress.map { $0 + first / TensorEncoding.tileRows * tileBytes }, rows: columns,
            columns: Self.chunk,
            into: FloatProduct.Output(start: sums.base + rows.lowerBound * blockWidth + column, stride: blockWidth),
            accumulate: true)
    }
}
