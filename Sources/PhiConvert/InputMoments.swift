import CPhiKernels
import Phi
import PhiFormat

/// Sums x xᵀ over what goes into a matrix, of columns that are in the same block on the diagonal: all of them would cost a wide
/// matrix most of a conversion's time and gain little. A sum over tokens is a matrix product, so the kernel for f32 matrices
/// takes it, 256 tokens at a time, and only what is on the diagonal or above it.
package final class InputMoments {
    /// Columns of the matrix.
    package let width: Int
    /// Columns of a block, a multiple of those that share a scale; the last may have fewer.
    package let blockWidth: Int
    /// [width][blockWidth], each row of its own block; beyond the width zero, below the diagonal nothing of meaning.
    package let sums: FloatBuffer

    private let kernels: Kernels
    private let threads: Int32
    private let turned: FloatBuffer  // [width][tokens]
    private let encoder: TileEncoder
    private let zeros: FloatBuffer
    private var count = 0

    /// Tokens that are summed at a time.
    private static let chunk = 256
    /// Rows that are summed from the same column on.
    private static let band = 960
    /// Columns of a block at most: all of phi-1's hidden ones.
    package static let widestBlock = 2048

    package init(width: Int, widestBlock: Int = widestBlock, kernels: Kernels, threads: Int32) {
        self.width = width
        self.kernels = kernels
        self.threads = threads
        let blocks = (width + widestBlock - 1) / widestBlock
        let unit = TensorEncoding.blockColumns
        blockWidth = ((width + blocks - 1) / blocks + unit - 1) / unit * unit
        sums = FloatBuffer(width * blockWidth)
        turned = FloatBuffer(width * Self.chunk)
        encoder = TileEncoder(.f32, kernels, threads, rows: width, columns: Self.chunk)
        zeros = FloatBuffer(blockWidth)
    }

    /// The columns of each block.
    var blocks: [Range<Int>] {
        stride(from: 0, to: width, by: blockWidth).map { $0..<min($0 + blockWidth, width) }
    }

    /// Adds `rows` inputs, which begin at `x` and are `rowStride` floats apart.
    package func add(_ x: UnsafePointer<Float>, _ rowStride: Int, rows: Int) {
        let turned = turned.elements(0, width * Self.chunk)
        for row in 0..<rows {
            for column in 0..<width { turned[column * Self.chunk + count] = x[row * rowStride + column] }
            count += 1
            if count == Self.chunk { flush() }
        }
    }

    /// Adds what has been taken and not been summed yet.
    package func flush() {
        guard count > 0 else { return }
        let turned = turned.elements(0, width * Self.chunk)
        for column in 0..<width where count < Self.chunk {
            for token in count..<Self.chunk { turned[column * Self.chunk + token] = 0 }
        }
        count = 0
        _ = encoder.encode(self.turned, rows: width)
        encoder.withTiles { tiles in
            let tileBytes = tiles.count / ((width + TensorEncoding.tileRows - 1) / TensorEncoding.tileRows)
            for block in blocks {
                for first in stride(from: block.lowerBound, to: block.upperBound, by: Self.band) {
                    let rest = block.upperBound - first
                    var arguments = phi_matmul_args(
                        weights: tiles.baseAddress.map { $0 + first / TensorEncoding.tileRows * tileBytes },
                        bias: zeros.base, rows: rest, width: Self.chunk, tokens: min(Self.band, rest),
                        x: turned.baseAddress.map { $0 + first * Self.chunk }, x_stride: Self.chunk, q: nil,
                        scales: nil, starts: nil, group_starts: nil,
                        out: sums.base + first * blockWidth + first - block.lowerBound, out_stride: blockWidth,
                        accumulate: true, tile_bytes: 0)
                    let items = phi_matmul_items(&arguments, TensorEncoding.f32.stripBytes)
                    phi_parallel(threads, items, kernels.table.matmul_f32, &arguments)
                }
            }
        }
    }
}
