import PhiTokenizer

/// What a row of logits says about probabilities: the log-softmax, in double precision and in one order of sums, so the
/// same on every machine.
///
/// ```swift
/// let best = session.withLogits { LogProbabilities($0).top(5) } ?? []
/// for choice in best { print(choice.token, choice.logProbability) }
/// ```
///
/// Nothing is copied: it is valid as long as the logits that it was made from.
public struct LogProbabilities {
    let logits: UnsafeBufferPointer<Float>
    /// The logarithm of the sum of all exponentials: log p = logit - this, in nats. Not finite when a logit is not.
    public let logPartition: Double
    /// The likeliest token, the one of the lowest id among equals.
    public let likeliest: TokenID

    /// Takes logits, one a token of the vocabulary; linear in them.
    public init(_ logits: UnsafeBufferPointer<Float>) {
        self.logits = logits
        var top = -Float.infinity
        var likeliest = 0
        var isFinite = true
        for (place, logit) in logits.enumerated() {
            if logit > top { (top, likeliest) = (logit, place) }
            isFinite = isFinite && logit.isFinite
        }
        self.likeliest = TokenID(truncatingIfNeeded: likeliest)
        let most = Double(top)
        let sum = Self.sum(over: logits.count) {
            Self.load(logits, $0, or: -.infinity) - most
        } term: { x, _ in
            DeterministicMath.exp(atMostZero: x)
        }
        logPartition = isFinite ? most + DeterministicMath.log(sum) : .nan
    }

    /// The logarithm of the probability of `token`, which is one of the vocabulary, in nats.
    public func of(_ token: TokenID) -> Double { Double(logits[Int(token)]) - logPartition }

    /// The `count` likeliest tokens, or all if there are fewer, in falling order, the lower id first among equals; none
    /// whose logit is NaN. Linear in the vocabulary for a few.
    public func top(_ count: Int) -> [TokenProbability] {
        func comesBefore(_ a: Int, _ b: Int) -> Bool {
            logits[a] > logits[b] || (logits[a] == logits[b] && a < b)
        }
        var best: [Int]
        if count <= Self.fewTokens {
            best = []
            best.reserveCapacity(max(0, count) + 1)
            for place in logits.indices where !logits[place].isNaN {
                if best.count >= count, best.last.map({ !comesBefore(place, $0) }) ?? true { continue }
                best.insert(place, at: best.firstIndex { comesBefore(place, $0) } ?? best.count)
                if best.count > count { best.removeLast() }
            }
        } else {
            best = logits.indices.filter { !logits[$0].isNaN }.sorted(by: comesBefore)
        }
        return best.prefix(count).map { place in
            let token = TokenID(truncatingIfNeeded: place)
            return TokenProbability(token: token, logProbability: of(token))
        }
    }

    /// Up to so many are kept in order while all are looked at once; more are sorted.
    private static let fewTokens = 64

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

/// A token and how likely it is.
public struct TokenProbability: Sendable, Equatable {
    /// The token.
    public let token: TokenID
    /// The natural logarithm of its probability.
    public let logProbability: Double

    /// Makes the pair.
    public init(token: TokenID, logProbability: Double) {
        self.token = token
        self.logProbability = logProbability
    }
}

/// A token that was chosen, beside those that could have been.
public struct TokenChoice: Sendable, Equatable {
    /// The token.
    public let token: TokenID
    /// The natural logarithm of its probability by the model's own logits.
    public let logProbability: Double
    /// The likeliest tokens, in falling order, as many as were asked for.
    public let alternatives: [TokenProbability]

    /// What `logits` say about the choice of `token`.
    package init(_ token: TokenID, of logits: UnsafeBufferPointer<Float>, alternatives: Int) {
        let probabilities = LogProbabilities(logits)
        self.token = token
        logProbability = probabilities.of(token)
        self.alternatives = probabilities.top(alternatives)
    }
}
