import Phi

/// What a row of logits says about probabilities, in double precision and the same on every machine.
package struct LogProbabilities {
    let logits: UnsafeBufferPointer<Float>
    /// The logarithm of the sum of all exponentials: log p = logit - this. Not finite when a logit is not.
    package let logPartition: Double
    /// The place of the likeliest token, the first of equals.
    package let likeliest: Int

    package init(_ logits: UnsafeBufferPointer<Float>) {
        self.logits = logits
        var top = -Float.infinity
        var likeliest = 0
        var isFinite = true
        for (place, logit) in logits.enumerated() {
            if logit > top { (top, likeliest) = (logit, place) }
            isFinite = isFinite && logit.isFinite
        }
        self.likeliest = likeliest
        let most = Double(top)
        let sum = Self.sum(over: logits.count) {
            Self.load(logits, $0, or: -.infinity) - most
        } term: { x, _ in
            DeterministicMath.exp(atMostZero: x)
        }
        logPartition = isFinite ? most + DeterministicMath.log(sum) : .nan
    }

    /// The logarithm of the probability of the token at `place`.
    package func of(_ place: Int) -> Double { Double(logits[place]) - logPartition }

    /// The Kullback-Leibler divergence of `other` from these probabilities: the sum of p (log p - log q), in nats. Both have
    /// the same tokens.
    package func divergence(of other: LogProbabilities) -> Double {
        let sum = Self.sum(over: logits.count) {
            Self.load(logits, $0, or: -.infinity) - logPartition
        } term: { x, at in
            DeterministicMath.exp(atMostZero: x.replacing(with: 0, where: x .> 0))
                * (Self.load(logits, at, or: 0) - Self.load(other.logits, at, or: 0))
        }
        // Below 0 only by rounding.
        return max(0, sum - (logPartition - other.logPartition))
    }

    /// Sums `term` of `input`, eight at a time, in one order.
    @inline(__always)
    private static func sum(
        over count: Int, input: (Int) -> SIMD8<Double>, term: (SIMD8<Double>, Int) -> SIMD8<Double>
    ) -> Double {
        var sums = SIMD8<Double>.zero
        for first in stride(from: 0, to: count, by: 8) { sums += term(input(first), first) }
        return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]))
    }

    /// The eight logits from `first` on, and `filler` behind the last.
    @inline(__always)
    private static func load(_ logits: UnsafeBufferPointer<Float>, _ first: Int, or filler: Double) -> SIMD8<Double> {
        if first + 8 <= logits.count, let start = logits.baseAddress {
            return SIMD8<Double>(UnsafeRawPointer(start + first).loadUnaligned(as: SIMD8<Float>.self))
        }
        var x = SIMD8<Double>(repeating: filler)
        for lane in 0..<logits.count - first { x[lane] = Double(logits[first + lane]) }
        return x
    }
}

/// e to the power of `x`, the same on every machine.
func exponent(_ x: Double) -> Double { DeterministicMath.exp(x) }
