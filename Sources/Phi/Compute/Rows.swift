/// A row-major matrix of f32 in memory that outlives it: row i begins at `start + i * stride`. A view of some rows or columns
/// of a buffer is one too.
package struct Rows: BitwiseCopyable {
    package let start: UnsafeMutablePointer<Float>
    package let stride: Int

    /// The rows from `row` on.
    func from(row: Int) -> Rows { Rows(start: start + row * stride, stride: stride) }

    /// The columns from `column` on.
    func from(column: Int) -> Rows { Rows(start: start + column, stride: stride) }
}
