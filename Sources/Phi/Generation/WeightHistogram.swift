/// A histogram of token weights by octave (1, down to 1/2, down to 1/4, ...): number and sum in each. It bounds the
/// weights that top-k and top-p keep, before any are sorted.
struct WeightHistogram: Sendable {
    private static let octaves = 1023  // e^-700 is in octave 1010

    private var counts = [Int](repeating: 0, count: octaves)
    private var sums = [Double](repeating: 0, count: octaves)

    /// Replaces the contents by the counts of `weights`, which are at most 1; zeros are not counted. Linear.
    mutating func count(_ weights: [Double]) {
        counts.withUnsafeMutableBufferPointer { counts in
            sums.withUnsafeMutableBufferPointer { sums in
                for octave in counts.indices {
                    counts[octave] = 0
                    sums[octave] = 0
                }
                for weight in weights {
                    let octave = Self.octaves - Int(truncatingIfNeeded: weight.bitPattern >> 52)
                    if octave >= counts.count { continue }
                    counts[octave] += 1
                    sums[octave] += weight
                }
            }
        }
    }

    /// Returns a weight that at least `number` tokens reach, or the smallest octave's if there are fewer.
    func lowerBound(forCount number: Int) -> Double {
        var count = 0
        return lowerBound { octave in
            count += counts[octave]
            return count >= number
        }
    }

    /// Returns a weight such that the tokens that reach it sum to at least `sum`, or the smallest octave's.
    func lowerBound(forSum sum: Double) -> Double {
        var reached = 0.0
        return lowerBound { octave in
            reached += sums[octave]
            return reached >= sum
        }
    }

    private func lowerBound(_ isEnough: (Int) -> Bool) -> Double {
        let octave = counts.indices.first(where: isEnough) ?? counts.count - 1
        return Double(sign: .plus, exponent: -octave, significand: 1)
    }
}
