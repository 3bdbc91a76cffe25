import CPhiKernels

/// The sum of the head's products with a row's quantised inputs and with their residual, and the bias. An item is a
/// chunk of a row.
struct AddResidualProducts: BitwiseCopyable {
    let products: Rows  // [2 rows, count]
    let bias: UnsafePointer<Float>  // [count]
    let out: Rows  // [rows, count]
    let count: Int

    private static let chunk = 4096
    /// Number of items per row.
    var chunks: Int { (count + Self.chunk - 1) / Self.chunk }

    static let operation: phi_operation = { arguments, begin, end in
        guard let sum = arguments?.assumingMemoryBound(to: AddResidualProducts.self).pointee else { return }
        for item in begin..<end {
            let (row, number) = item.quotientAndRemainder(dividingBy: sum.chunks)
            let product = sum.products.from(row: 2 * row).start, residual = sum.products.from(row: 2 * row + 1).start
            let out = sum.out.from(row: row).start
            for i in number * chunk..<min((number + 1) * chunk, sum.count) {
                out[i] = product[i] + residual[i] + sum.bias[i]
            }
        }
    }
}
