import PhiTokenizer

/// A view of a row of logits, with the reductions that sampling needs.
struct Logits {
    let values: UnsafeBufferPointer<Float>  // [vocabulary]

    /// The token of the largest logit that is not NaN; of several, the one of lowest id; 0 if all are NaN.
    var likeliest: TokenID {
        let top = maximum
        guard let index = values.firstIndex(of: top) else { return 0 }
        return TokenID(truncatingIfNeeded: index)
    }

    /// The largest logit that is not NaN; minus infinity if all are.
    var maximum: Float {
        guard let start = values.baseAddress else { return -.infinity }
        let whole = values.count / 16 * 16
        var best = SIMD16<Float>(repeating: -.infinity)
        for i in stride(from: 0, to: whole, by: 16) {
            let next = UnsafeRawPointer(start + i).loadUnaligned(as: SIMD16<Float>.self)
            best.replace(with: next, where: next .> best)
        }
        for i in whole..<values.count where values[i] > best[0] { best[0] = values[i] }
        return best.indices.reduce(-.infinity) { max($0, best[$1]) }
    }

    /// Writes exp((logit - largest logit) / temperature) of each token to `weights`, [vocabulary], and returns their
    /// sum. The weight of the most likely token is 1; below e^-700, and for NaN, it is 0.
    func exponentials(temperature: Double, into weights: inout [Double]) -> Double {
        let top = Double(maximum)
        var sums = SIMD8<Double>.zero
        weights.withUnsafeMutableBufferPointer { weights in
            for first in stride(from: 0, to: values.count, by: 8) {
                let count = min(8, values.count - first)
                var x = SIMD8<Double>(repeating: -.infinity)
                for lane in 0..<count { x[lane] = Double(values[first + lane]) }
                let terms = DeterministicMath.exp(atMostZero: (x - top) / temperature)
                sums += terms
                for lane in 0..<count { weights[first + lane] = terms[lane] }
            }
        }
        return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]))
    }
}
