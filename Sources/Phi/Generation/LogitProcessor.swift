import PhiTokenizer

/// An edit of the logits before sampling, for example to forbid or favour tokens or to enforce a grammar.
///
/// ```swift
/// struct DigitsOnly: LogitProcessor {
///     let digits: Set<TokenID>
///
///     func process(_ logits: inout MutableSpan<Float>, history: [TokenID]) {
///         for token in logits.indices where !digits.contains(TokenID(token)) { logits[token] = -.infinity }
///     }
/// }
/// var sampler = Sampler(.greedy, vocabulary: model.config.vocabulary, processors: [DigitsOnly(digits: digits)])
/// ```
///
/// A ``Sampler`` applies any number of them. Decoding stays free of allocations if its processors do not allocate.
public protocol LogitProcessor: Sendable {
    /// Edits `logits`, [vocabulary], in place. `history` is the sequence so far, including the prompt. A token whose
    /// logit is minus infinity is never drawn.
    mutating func process(_ logits: inout MutableSpan<Float>, history: [TokenID])
}

/// Constants added to the logits of some tokens, as by OpenAI's `logit_bias`: 5 multiplies a token's unnormalised
/// probability by e^5, minus infinity forbids it.
public struct LogitBias: LogitProcessor {
    private let biases: [(token: Int, bias: Float)]

    /// Creates biases of tokens; throws ``OptionError`` when one is NaN or plus infinity. Unknown ids are ignored.
    public init(_ biases: [TokenID: Float]) throws(OptionError) {
        for (token, bias) in biases where bias.isNaN || bias == .infinity {
            throw OptionError(fault: "the logit bias of token \(token) must be finite or minus infinity, got \(bias)")
        }
        self.biases = biases.sorted { $0.key < $1.key }.map { (Int($0.key), $0.value) }
    }

    /// Adds the biases.
    public func process(_ logits: inout MutableSpan<Float>, history: [TokenID]) {
        for (token, bias) in biases where logits.indices.contains(token) { logits[token] += bias }
    }
}

/// A penalty on tokens that the sequence contains: positive logits are divided by it, negative ones multiplied, once
/// per distinct token (CTRL, Keskar et al. 2019, arXiv 1909.05858; Hugging Face's `RepetitionPenaltyLogitsProcessor`).
/// ``SamplingOptions/repeatPenalty`` applies it.
public struct RepetitionPenalty: LogitProcessor {
    private let penalty: Float
    private var seen: [UInt64]  // [vocabulary / 64] bits

    /// Creates a penalty; above 1 discourages repetition. Throws ``OptionError`` unless it is finite and positive.
    public init(_ penalty: Double, vocabulary: Int) throws(OptionError) {
        _ = try SamplingOptions(repeatPenalty: penalty)
        self.init(checked: penalty, vocabulary: vocabulary)
    }

    init(checked penalty: Double, vocabulary: Int) {
        self.penalty = Float(penalty)
        seen = [UInt64](repeating: 0, count: (vocabulary + 63) / 64)
    }

    /// Penalises the tokens of `history`.
    public mutating func process(_ logits: inout MutableSpan<Float>, history: [TokenID]) {
        for word in seen.indices { seen[word] = 0 }
        let count = min(logits.count, 64 * seen.count)
        for token in history where (0..<count).contains(Int(token)) {
            let index = Int(token)
            let bit: UInt64 = 1 << UInt64(index % 64)
            if seen[index / 64] & bit != 0 { continue }
            seen[index / 64] |= bit
            let logit = logits[index]
            logits[index] = logit < 0 ? logit * penalty : logit / penalty
        }
    }
}

extension SamplingOptions {
    /// Returns the processors of the parameters that edit logits before the temperature and are not at their default.
    func processors(vocabulary: Int) -> [any LogitProcessor] {
        repeatPenalty == 1 ? [] : [RepetitionPenalty(checked: repeatPenalty, vocabulary: vocabulary)]
    }
}
