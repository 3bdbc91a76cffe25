import PhiTokenizer

/// Edits logits before a token is chosen from them: forbids tokens, favours some, keeps a text to a grammar.
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
/// A ``Sampler`` takes any number of them. One that allocates nothing lets decoding allocate nothing.
public protocol LogitProcessor: Sendable {
    /// Edits `logits`, one a token of the vocabulary, in place. `history` is the text so far, prompt included. A token with a
    /// logit of minus infinity is never drawn.
    mutating func process(_ logits: inout MutableSpan<Float>, history: [TokenID])
}

/// Adds to the logits of some tokens, as OpenAI's `logit_bias` does: 5 makes a token e^5 times as likely before all are
/// normalised, minus infinity forbids it.
public struct LogitBias: LogitProcessor {
    private let biases: [(token: Int, bias: Float)]

    /// A bias for each of these tokens. Throws ``OptionError`` when one is NaN or plus infinity. Tokens that the vocabulary
    /// does not have are passed over.
    public init(_ biases: [TokenID: Float]) throws(OptionError) {
        for (token, bias) in biases where bias.isNaN || bias == .infinity {
            throw OptionError(fault: "the logit bias of token \(token) is \(bias), not a number or minus infinity")
        }
        self.biases = biases.sorted { $0.key < $1.key }.map { (Int($0.key), $0.value) }
    }

    /// Adds the biases.
    public func process(_ logits: inout MutableSpan<Float>, history: [TokenID]) {
        for (token, bias) in biases where logits.indices.contains(token) { logits[token] += bias }
    }
}

/// Divides the logits of tokens that the text has where positive and multiplies them where negative, once for each token,
/// however often it is there (CTRL, Keskar et al. 2019, arXiv 1909.05858; Hugging Face's
/// `RepetitionPenaltyLogitsProcessor`). ``SamplingOptions/repeatPenalty`` is this.
public struct RepetitionPenalty: LogitProcessor {
    private let penalty: Float
    private var seen: [UInt64]  // [vocabulary / 64] bits

    /// A penalty above 1 makes repetition less likely. Throws ``OptionError`` when it is not a finite number above 0.
    public init(_ penalty: Double, vocabulary: Int) throws(OptionError) {
        _ = try SamplingOptions(repeatPenalty: penalty)
        self.init(checked: penalty, vocabulary: vocabulary)
    }

    init(checked penalty: Double, vocabulary: Int) {
        self.penalty = Float(penalty)
        seen = [UInt64](repeating: 0, count: (vocabulary + 63) / 64)
    }

    /// Penalises what `history` has.
    public mutating func process(_ logits: inout MutableSpan<Float>, history: [TokenID]) {
        for word in seen.indices { seen[word] = 0 }
        let count = min(logits.count, 64 * seen.count)
        for token in history where (0..<count).contains(Int(token)) {
            let place = Int(token)
            let bit: UInt64 = 1 << UInt64(place % 64)
            if seen[place / 64] & bit != 0 { continue }
            seen[place / 64] |= bit
            let logit = logits[place]
            logits[place] = logit < 0 ? logit * penalty : logit / penalty
        }
    }
}

extension SamplingOptions {
    /// The processors of the parameters that edit logits before the temperature, without those that have no effect.
    func processors(vocabulary: Int) -> [any LogitProcessor] {
        repeatPenalty == 1 ? [] : [RepetitionPenalty(checked: repeatPenalty, vocabulary: vocabulary)]
    }
}
