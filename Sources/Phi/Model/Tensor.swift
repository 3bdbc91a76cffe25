import CPhiKernels
import PhiFormat

/// A matrix of weights where it lies in a mapped file. Valid as long as the file is mapped, which ``Weights`` sees to.
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

    /// Columns with those that fill the last strip.
    var width: Int { roundUp(columns, to: TensorEncoding.stripColumns) }

    /// All its bytes.
    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: tiles, count: encoding.byteCount(rows: rows, columns: columns) ?? 0)
    }

    /// Writes row `row` to `out`, which has room for ``columns`` elements.
    func copyRow(_ row: Int, to out: UnsafeMutablePointer<Float>) {
        phi_row(tiles, encoding.rawValue, row, columns, out)
    }
}

/// A vector of f32 where it lies in a mapped file. Valid as long as the file is mapped.
package struct Vector: @unchecked Sendable, BitwiseCopyable {
    let count: Int
    let elements: UnsafePointer<Float>

    package init(count: Int, elements: UnsafePointer<Float>) {
        self.count = count
        self.elements = elements
    }
}

/// `n` rounded up to a multiple of `unit`.
func roundUp(_ n: Int, to unit: Int) -> Int { (n + unit - 1) / unit * unit }
