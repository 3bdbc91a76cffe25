import PhiTokenizer

/// One logit a token of the vocabulary, read where they lie; and what sampling computes from all of them.
struct Logits {
    let values: UnsafeBufferPointer<Float>  // [vocabulary]

    /// The likeliest token, the one of the lowest id among equals; NaN is never the likeliest. 0 if there is nothing else.
    var likeliest: TokenID {
        let top = maximum
        guard let index = values.firstIndex(of: top) else { return 0 }
        return TokenID(truncatingIfNeeded: index)
    }

    /// The largest logit; minus infinity when all are NaN.
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

    /// Writes e^((logit - largest logit) / temperature) for each token to `weights`, which has room for them, and returns
    /// the sum. The likeliest token weighs 1; one that is e^-700 times as likely, or whose logit is NaN, nothing.
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
