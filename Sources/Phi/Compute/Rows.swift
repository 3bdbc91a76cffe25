/// A view of a row-major f32 matrix in a buffer that must outlive it: row i begins at `start + i * stride`.
package struct Rows: BitwiseCopyable {
    package let start: UnsafeMutablePointer<Float>
    package let stride: Int

    /// Returns the rows from `row` on.
    func from(row: Int) -> Rows { Rows(start: start + row * stride, stride: stride) }

    /// Returns the columns from `column` on.
    func from(column: Int) -> Rows { Rows(start: start + column, stride: stride) }
}
