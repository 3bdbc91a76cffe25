import PhiTokenizer

/// The log-softmax of a row of logits, in double precision and a fixed order of summation: the same on every machine.
///
/// ```swift
/// let best = session.withLogits { LogProbabilities($0).top(5) } ?? []
/// for choice in best { print(choice.token, choice.logProbability) }
/// ```
///
/// It refers to the logits without copying them and is valid only as long as they are.
public struct LogProbabilities {
    let logits: UnsafeBufferPointer<Float>
    /// The logarithm of the sum of exp(logit): log p = logit - logPartition, in nats. NaN if a logit is not finite.
    public let logPartition: Double
    /// The most likely token; of several, the one of lowest id.
    public let likeliest: TokenID

    /// Computes the log-partition of `logits`, [vocabulary]. Linear.
    public init(_ logits: UnsafeBufferPointer<Float>) {
        self.logits = logits
        (likeliest, logPartition) = withDefaultFloats { Self.reduce(logits) }
    }

    private static func reduce(_ logits: UnsafeBufferPointer<Float>) -> (likeliest: TokenID, logPartition: Double) {
        var top = -Float.infinity
        var likeliest = 0
        var isFinite = true
        for (index, logit) in logits.enumerated() {
            if logit > top { (top, likeliest) = (logit, index) }
            isFinite = isFinite && logit.isFinite
        }
        let maximum = Double(top)
        let sum = sum(over: logits.count) {
            load(logits, $0, or: -.infinity) - maximum
        } term: { x, _ in
            DeterministicMath.exp(atMostZero: x)
        }
        return (
            TokenID(truncatingIfNeeded: likeliest), isFinite ? maximum + DeterministicMath.log(sum) : .nan
        )
    }

    /// Returns the natural log-probability of `token`, which must be in the vocabulary.
    public func of(_ token: TokenID) -> Double {
        withDefaultFloats { Double(logits[Int(token)]) - logPartition }
    }

    /// Returns the `count` most likely tokens, or all if there are fewer, in descending order, the lower id first among
    /// equals. Tokens whose logit is NaN are left out. Linear in the vocabulary for small counts.
    public func top(_ count: Int) -> [TokenProbability] {
        func comesBefore(_ a: Int, _ b: Int) -> Bool {
            logits[a] > logits[b] || (logits[a] == logits[b] && a < b)
        }
        var best: [Int]
        if count <= Self.fewTokens {
            best = []
            best.reserveCapacity(max(0, count) + 1)
            for index in logits.indices where !logits[index].isNaN {
                if best.count >= count, best.last.map({ !comesBefore(index, $0) }) ?? true { continue }
                best.insert(index, at: best.firstIndex { comesBefore(index, $0) } ?? best.count)
                if best.count > count { best.removeLast() }
            }
        } else {
            best = logits.indices.filter { !logits[$0].isNaN }.sorted(by: comesBefore)
        }
        return best.prefix(max(0, count)).map { index in
            let token = TokenID(truncatingIfNeeded: index)
            return TokenProbability(token: token, logProbability: of(token))
        }
    }

    /// Largest count that is selected by insertion in one pass; larger ones sort the vocabulary.
    private static let fewTokens = 64

    /// Returns the Kullback-Leibler divergence of `other`, q, from this distribution, p: the sum of p (log p - log q),
    /// in nats. Both must have the same vocabulary.
    package func divergence(of other: LogProbabilities) -> Double {
        withDefaultFloats {
            let sum = Self.sum(over: logits.count) {
                Self.load(logits, $0, or: -.infinity) - logPartition
            } term: { x, at in
                DeterministicMath.exp(atMostZero: x.replacing(with: 0, where: x .> 0))
                    * (Self.load(logits, at, or: 0) - Self.load(other.logits, at, or: 0))
            }
            // Negative only by rounding.
            return max(0, sum - (logPartition - other.logPartition))
        }
    }

    /// Returns the sum of `term(input(i), i)` in eight lanes, which are added in a fixed order.
    @inline(__always)
    private static func sum(
        over count: Int, input: (Int) -> SIMD8<Double>, term: (SIMD8<Double>, Int) -> SIMD8<Double>
    ) -> Double {
        var sums = SIMD8<Double>.zero
        for first in stride(from: 0, to: count, by: 8) { sums += term(input(first), first) }
        return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]))
    }

    /// Returns eight logits from index `first` on, padded with `filler`.
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

/// A token and its log-probability.
public struct TokenProbability: Sendable, Equatable {
    /// The token.
    public let token: TokenID
    /// The natural logarithm of its probability.
    public let logProbability: Double

    /// Creates a pair.
    public init(token: TokenID, logProbability: Double) {
        self.token = token
        self.logProbability = logProbability
    }
}

/// A chosen token, its log-probability and its most likely alternatives.
public struct TokenChoice: Sendable, Equatable {
    /// The token.
    public let token: TokenID
    /// The natural logarithm of its probability, from the logits before any processor or temperature.
    public let logProbability: Double
    /// The requested number of most likely tokens, in descending order.
    public let alternatives: [TokenProbability]

    /// Creates the choice of `token` from `logits`, [vocabulary], with `alternatives` most likely tokens.
    package init(_ token: TokenID, of logits: UnsafeBufferPointer<Float>, alternatives: Int) {
        let probabilities = LogProbabilities(logits)
        self.token = token
        logProbability = probabilities.of(token)
        self.alternatives = probabilities.top(alternatives)
    }
}
