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
        // A in the cache is read once for each eight rows of B. The last ones are computed again where there are fewer.
        var products = [SIMD8<Float>](repeating: .zero, count: columns)
        products.withUnsafeMutableBufferPointer { products in
            factors.right.withUnsafeBufferPointer { right in
                for first in stride(from: 0, to: rows.count, by: SIMD8<Float>.scalarCount) {
                    let places = (0..<8).map { lane in
                        let row = rows.lowerBound + min(first + lane, rows.count - 1)
                        return table.storedRow(row, of: parameter, config).row * rank
                    }
                    products.update(repeating: .zero)
                    for k in 0..<rank {
                        var factor = SIMD8<Float>()
                        for lane in 0..<8 { factor[lane] = factors.left[places[lane] + k] }
                        for column in 0..<columns { products[column] += factor * right[k * columns + column] }
                    }
                    for lane in 0..<min(8, rows.count - first) {
                        let row = UnsafeMutableBufferPointer(
                            rebasing: floats[(first + lane) * columns..<(first + lane + 1) * columns])
                        for column in 0..<columns { row[column] += scaling * products[column][lane] }
                    }
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
