import CPhiKernels
import PhiFormat

/// A view of a weight matrix in a mapped file, valid while ``Weights`` keeps the file mapped.
package struct Matrix: @unchecked Sendable, BitwiseCopyable {
    let encoding: TensorEncoding
    let rows: Int
    let columns: Int
    /// Tiles in file order.
    package let tiles: UnsafeRawPointer

    package init(encoding: TensorEncoding, rows: Int, columns: Int, tiles: UnsafeRawPointer) {
        self.encoding = encoding
        self.rows = rows
        self.columns = columns
        self.tiles = tiles
    }

    /// Number of columns, rounded up to whole strips.
    var width: Int { roundUp(columns, to: TensorEncoding.stripColumns) }

    /// All bytes of the tiles.
    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: tiles, count: encoding.byteCount(rows: rows, columns: columns) ?? 0)
    }

    /// Writes row `row`, dequantised, to `out`, [columns].
    func copyRow(_ row: Int, to out: UnsafeMutablePointer<Float>) {
        phi_row(tiles, encoding.rawValue, row, columns, out)
    }
}

/// A view of an f32 vector in a mapped file, valid while the file is mapped.
package struct Vector: @unchecked Sendable, BitwiseCopyable {
    let count: Int
    let elements: UnsafePointer<Float>

    package init(count: Int, elements: UnsafePointer<Float>) {
        self.count = count
        self.elements = elements
    }
}

/// Returns `n` rounded up to a multiple of `unit`.
func roundUp(_ n: Int, to unit: Int) -> Int { (n + unit - 1) / unit * unit }
