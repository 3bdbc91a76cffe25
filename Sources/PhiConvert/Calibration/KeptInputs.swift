import CPhiKernels
import Phi

/// The quantised inputs of a block's output projection for all tokens: computed once, summed for its error feedback, and multiplied
/// when the matrix has been encoded. A byte for each.
final class KeptInputs {
    private let width, blocks, groups: Int
    private let codes: Buffer<Int8>  // [tokens][width], ordered within a batch as a product reads them
    private let scales: Buffer<Float>  // [tokens][blocks]
    private let zeroCorrections: Buffer<Int32>  // [tokens][blocks]
    private let groupZeroCorrections: Buffer<UInt32>  // [batches][groups], for batches of a few tokens

    /// Memory for the inputs of a matrix with `columns` columns. Throws ``SessionError`` when there is not enough.
    init(columns: Int, tokens: Int, batches: Int) throws(SessionError) {
        func divideUp(_ n: Int, _ unit: Int32) -> Int { (n + Int(unit) - 1) / Int(unit) }
        width = divideUp(columns, Int32(PHI_STRIP_COLUMNS)) * Int(PHI_STRIP_COLUMNS)
        blocks = divideUp(columns, Int32(PHI_BLOCK_COLUMNS))
        groups = Int(PHI_GEMV_TOKENS) * width / Int(PHI_GROUP)
        codes = try Buffer(tokens * width)
        scales = try Buffer(tokens * blocks)
        zeroCorrections = try Buffer(tokens * blocks)
        groupZeroCorrections = try Buffer(batches * groups)
    }

    /// Keeps the inputs that `activations` has quantised for batch number `number`: `rows` of all rows.
    func keep(_ rows: Range<Int>, batch number: Int, of activations: Activations) {
        forEach(rows, number, activations) { kept, passing, count in kept.copyMemory(from: passing, byteCount: count) }
    }

    /// Puts them back into `activations`.
    func restore(_ rows: Range<Int>, batch number: Int, to activations: Activations) {
        forEach(rows, number, activations) { kept, passing, count in passing.copyMemory(from: kept, byteCount: count) }
    }

    private func forEach(
        _ rows: Range<Int>, _ number: Int, _ activations: Activations,
        _ body: (UnsafeMutableRawPointer, UnsafeMutableRawPointer, _ bytes: Int) -> Void
    ) {
        let (first, count) = (rows.lowerBound, rows.count)
        body(codes.start + first * width, activations.quantised.start, count * width)
        body(scales.start + first * blocks, activations.scales.start, count * blocks * 4)
        body(zeroCorrections.start + first * blocks, activations.zeroCorrections.start, count * blocks * 4)
        body(groupZeroCorrections.start + number * groups, activations.groupZeroCorrections.start, groups * 4)
    }
}
