import Phi

/// Inputs of a matrix for some tokens.
struct InputSample {
    let columns: Int
    let elements: [Float]  // [tokens][columns]
    /// Of each column.
    let means, variances, rootMeanSquares: [Float]

    init(_ elements: [Float], columns: Int) {
        self.columns = columns
        self.elements = elements
        var sums = [Double](repeating: 0, count: columns), squares = sums
        for first in stride(from: 0, to: elements.count, by: columns) {
            for k in 0..<columns {
                let value = Double(elements[first + k])
                sums[k] += value
                squares[k] += value * value
            }
        }
        let count = Double(elements.count / columns)
        means = sums.map { Float($0 / count) }
        variances = zip(sums, squares).map { sum, square in
            Float(max(0, square / count - sum / count * (sum / count)))
        }
        rootMeanSquares = squares.map { Float(($0 / count).squareRoot()) }
    }

    /// Draws inputs of these means and deviations that are independent and about normal, after those of a token for which all are
    /// far above their means, as each is for some. The same on any machine.
    static func drawn(means: [Float], deviations: [Float], tokens: Int = 64) -> [Float] {
        var generator = SplitMix64(seed: 0)
        let far = zip(means, deviations).map { $0 + 3 * $1 }
        return far
            + (1..<tokens).flatMap { _ in
                zip(means, deviations).map { mean, deviation in
                    // The sum of four uniform numbers, of mean 2 and variance 1/3.
                    let word = generator.next()
                    let sum = (0..<4).reduce(Float(0)) { $0 + Float(word >> (16 * UInt64($1)) & 0xFFFF) * 0x1p-16 }
                    return mean + deviation * (sum - 2) * Float(3).squareRoot()
                }
            }
    }

    /// The sample with `change` made to each element of a column.
    func map(_ change: (_ column: Int, Float) -> Float) -> InputSample {
        var changed = elements
        for first in stride(from: 0, to: elements.count, by: columns) {
            for k in 0..<columns { changed[first + k] = change(k, elements[first + k]) }
        }
        return InputSample(changed, columns: columns)
    }
}
