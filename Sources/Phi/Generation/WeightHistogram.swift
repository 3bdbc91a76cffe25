/// How many tokens weigh 1, down to 1/2, down to 1/4 and so on, and how much together: enough to know which of them
/// top-k and top-p cannot leave, before any is sorted.
struct WeightHistogram: Sendable {
    private static let octaves = 1023  // e^-700 is in octave 1010

    private var counts = [Int](repeating: 0, count: octaves)
    private var sums = [Double](repeating: 0, count: octaves)

    /// Counts anew. `weights` are 1 or less; those of 0 are not counted. Linear.
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

    /// A weight that at least `number` tokens have, or the smallest there is.
    func least(forCount number: Int) -> Double {
        var count = 0
        return lowerBound { octave in
            count += counts[octave]
            return count >= number
        }
    }

    /// A weight such that tokens of it or more weigh `sum` together, or the smallest there is.
    func least(forSum sum: Double) -> Double {
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
