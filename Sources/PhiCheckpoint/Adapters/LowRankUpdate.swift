import Phi
import PhiFormat
import Synchronization

/// The update of one parameter by a LoRA adapter (Hu et al. 2021, arXiv 2106.09685): scaling x B A, with B [rows, rank] and
/// A [rank, columns]. Rows are those of the adapter's own module, which may hold queries, keys and values.
struct LowRankUpdate: Sendable {
    let a, b: StoredTensor
    /// Whether the update is that of the transposed weight, as an embedding's is: A [rank, rows], B [columns, rank].
    let isTransposed: Bool
    let rank: Int
    let scaling: Float
    let table: NameTable

    /// Adds the update of `rows` of a parameter to `floats`, [rows, columns], in f32.
    func add(
        _ parameter: Parameter, _ rows: Range<Int>, _ config: ModelConfig, to floats: UnsafeMutableBufferPointer<Float>,
        _ factors: (left: [Float], right: [Float])
    ) {
        let columns = config.shape(of: parameter).columns
        var product = [Float](repeating: 0, count: columns)
        product.withUnsafeMutableBufferPointer { product in
            factors.right.withUnsafeBufferPointer { right in
                for (number, row) in rows.enumerated() {
                    let stored = table.storedRow(row, of: parameter, config).row
                    product.update(repeating: 0)
                    for k in 0..<rank {
                        let factor = factors.left[stored * rank + k]
                        for column in 0..<columns { product[column] += factor * right[k * columns + column] }
                    }
                    for column in 0..<columns { floats[number * columns + column] += scaling * product[column] }
                }
            }
        }
    }

    /// The factors as [rows, rank] and [rank, columns].
    fileprivate func factors(columns: Int) throws(FormatError) -> (left: [Float], right: [Float]) {
        let (a, b) = (try a.allFloats(), try b.allFloats())
        return isTransposed ? (Self.transposed(a, rows: rank), Self.transposed(b, rows: columns)) : (b, a)
    }

    private static func transposed(_ floats: [Float], rows: Int) -> [Float] {
        let columns = floats.count / rows
        return (0..<columns).flatMap { column in (0..<rows).map { row in floats[row * columns + column] } }
    }
}

/// The factors of the parameter that was updated last, since parameters are read a few rows at a time.
final class LowRankFactors: Sendable {
    private let last = Mutex<(parameter: Parameter, factors: (left: [Float], right: [Float]))?>(nil)

    func of(
        _ parameter: Parameter, _ update: LowRankUpdate, columns: Int
    ) throws(FormatError) -> (left: [Float], right: [Float]) {
        try last.withLock { last throws(FormatError) in
            if let last, last.parameter == parameter { return last.factors }
            let factors = try update.factors(columns: columns)
            last = (parameter, factors)
            return factors
        }
    }
}

extension StoredTensor {
    func allFloats() throws(FormatError) -> [Float] {
        var floats = [Float](repeating: 0, count: count)
        try floats.withUnsafeMutableBufferPointer { floats throws(FormatError) in
            try readFloats(0..<count, into: floats)
        }
        return floats
    }
}
