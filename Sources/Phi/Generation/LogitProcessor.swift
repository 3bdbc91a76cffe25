import PhiTokenizer

/// An edit of the logits before sampling, for example to forbid or favour tokens.
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
    /// logit is minus infinity is never drawn, unless all are: then the first token is, number 0, and under a
    /// ``GenerationOptions/constraint`` the likeliest that it allows.
    mutating func process(_ logits: inout MutableSpan<Float>, history: [TokenID])
}

/// Constants added to the logits of some tokens, as by OpenAI's `logit_bias`: 5 multiplies a token's unnormalised
/// probability by e^5, minus infinity forbids it. Should all tokens be forbidden, one is chosen all the same; see
/// ``LogitProcessor/process(_:history:)``.
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

/// Penalties on the tokens chosen so far, those of the prompt left out: `frequency` as often as a token occurs, and `presence`
/// once (OpenAI's `frequency_penalty` and `presence_penalty`, in vLLM's order).
struct CountPenalty: LogitProcessor {
    private let presence: Float
    private let frequency: Float
    private var counts: [Int32]  // [vocabulary], 0 between calls
    private var completion = CompletionStart()

    init(presence: Double, frequency: Double, vocabulary: Int) {
        (self.presence, self.frequency) = (Float(presence), Float(frequency))
        counts = [Int32](repeating: 0, count: vocabulary)
    }

    mutating func process(_ logits: inout MutableSpan<Float>, history: [TokenID]) {
        let chosen = history[completion.find(in: history)...]
        let known = 0..<min(logits.count, counts.count)
        for token in chosen where known.contains(Int(token)) { counts[Int(token)] += 1 }
        for token in chosen where known.contains(Int(token)) && counts[Int(token)] > 0 {
            logits[Int(token)] -= frequency * Float(counts[Int(token)])
            logits[Int(token)] -= presence
            counts[Int(token)] = 0
        }
    }
}

/// Forbids the tokens that end a completion until it has `minimum` tokens (Hugging Face's
/// `MinNewTokensLengthLogitsProcessor`).
struct MinimumLength: LogitProcessor {
    let minimum: Int
    let ends: [TokenID]
    private var completion = CompletionStart()

    init(_ minimum: Int, ends: [TokenID]) { (self.minimum, self.ends) = (minimum, ends) }

    mutating func process(_ logits: inout MutableSpan<Float>, history: [TokenID]) {
        guard history.count - completion.find(in: history) < minimum else { return }
        for end in ends where logits.indices.contains(Int(end)) { logits[Int(end)] = -.infinity }
    }
}

/// Where the completion begins in a sequence: at its first sampled token.
private struct CompletionStart {
    private var start: Int?

    mutating func find(in history: [TokenID]) -> Int {
        let start = min(start ?? history.count, history.count)
        self.start = start
        return start
    }
}

extension SamplingOptions {
    /// Returns the processors of the parameters that edit logits before the temperature and are not at their default.
    func processors(vocabulary: Int) -> [any LogitProcessor] {
        var processors: [any LogitProcessor] = []
        if repeatPenalty != 1 { processors.append(RepetitionPenalty(checked: repeatPenalty, vocabulary: vocabulary)) }
        if presencePenalty != 0 || frequencyPenalty != 0 {
            processors.append(
                CountPenalty(presence: presencePenalty, frequency: frequencyPenalty, vocabulary: vocabulary))
        }
        return processors
    }
}

extension GenerationOptions {
    /// Returns the sampler of a sequence of `model`; `processors` edit the logits after the penalties. Another `seed` than that
    /// of the options is for another choice of the same prompt.
    package func sampler(
        for model: LanguageModel, seed: UInt64? = nil, processors: [any LogitProcessor] = []
    ) -> Sampler {
        let ends = minimumTokens > 0 ? [MinimumLength(minimumTokens, ends: ends(of: model))] : []
        return Sampler(
            sampling.seeded(seed ?? sampling.seed), vocabulary: model.config.vocabulary, processors: processors + ends)
    }
}
