import Phi
import PhiTokenizer

/// A prompt and the completion that a replay makes of it.
package struct ReplayText: Sendable {
    package let prompt: [TokenID]
    package let completion: [TokenID]

    /// Encodes a text; of the completion as much as fits the model's context. Nil if not even two tokens do, since the first
    /// takes no step of its own.
    package init?(prompt: String, completion: String, of model: LanguageModel) {
        self.prompt = model.effectivePrompt(model.tokenizer.encode(prompt, specialTokens: false))
        let limit = model.config.context - self.prompt.count + 1
        self.completion = Array(model.tokenizer.encode(completion, specialTokens: false).prefix(max(0, limit)))
        if self.completion.count < 2 { return nil }
    }
}

/// Times the decoding of texts that are given, as if the model had chosen their tokens: every step computes what it always does,
/// logits and choice included, and the recorded token is taken instead of the chosen one. So weights of any origin show what
/// speculation gains on a text.
///
/// Each text is decoded with and without speculation, one right after the other, in both orders in turn.
package struct ReplayBenchmark {
    private let plain: Session
    private let speculative: Session?

    /// A benchmark that compares `speculation` with none; with ``Phi/Speculation/off`` it times that alone. Throws
    /// ``SessionError``.
    package init(_ model: LanguageModel, threads: Int, speculation: Speculation) throws(SessionError) {
        plain = try Session(model, threads: threads, speculation: .off)
        speculative = speculation.isOff ? nil : try Session(model, threads: threads, speculation: speculation)
    }

    /// Decodes all `texts` `repetitions` times. `onText` is called before each.
    package func run(
        _ texts: [ReplayText], repetitions: Int, onText: (Int) throws -> Void = { _ in }
    ) throws -> ReplayResult {
        var result = ReplayResult(
            texts: texts.count, promptTokens: texts.reduce(0) { $0 + $1.prompt.count },
            tokens: texts.reduce(0) { $0 + $1.completion.count - 1 })
        _ = try texts.first.map { try seconds($0, plain) }  // a warm-up
        for repetition in 0..<repetitions {
            var (without, with) = (0.0, 0.0)
            for (number, text) in texts.enumerated() {
                try onText(number)
                let isFirst = (number + repetition).isMultiple(of: 2)
                if let speculative, isFirst { with += try seconds(text, speculative) }
                without += try seconds(text, plain)
                if let speculative, !isFirst { with += try seconds(text, speculative) }
            }
            result.plainSeconds.append(without)
            if speculative != nil { result.seconds.append(with) }
        }
        result.drafts = speculative?.engine.draftCounts ?? result.drafts
        result.stepCosts = speculative?.engine.stepCosts ?? []
        return result
    }

    /// Seconds from the first token of the completion to its last.
    private func seconds(_ text: ReplayText, _ session: Session) throws -> Double {
        let options = try GenerationOptions(maximumTokens: text.completion.count, ignoresEndOfText: true)
        let sampler = RecordedTokens(text.completion, after: text.prompt.count, of: session.model)
        return try session.complete(text.prompt, options, sampler: sampler).timings.decode
    }
}

/// A sampler that chooses as a greedy one does, and returns recorded tokens.
private struct RecordedTokens: TokenSampler {
    private let tokens: [TokenID]
    private let prompt: Int
    private var sampler: Sampler

    init(_ tokens: [TokenID], after prompt: Int, of model: LanguageModel) {
        self.tokens = tokens
        self.prompt = prompt
        sampler = Sampler(.greedy, vocabulary: model.config.vocabulary)
    }

    mutating func sample(_ logits: UnsafeBufferPointer<Float>, history: [TokenID]) -> TokenID {
        _ = sampler.sample(logits, history: history)
        return tokens[history.count - prompt]
    }
}

/// What a replay took.
package struct ReplayResult: Sendable {
    /// Number of texts, and of their prompts' tokens.
    package let texts, promptTokens: Int
    /// Tokens of the completions but the first of each, which the prompt's prefill gives.
    package let tokens: Int
    /// Seconds of each repetition without speculation, and with it, if it is on.
    package fileprivate(set) var plainSeconds: [Double] = []
    package fileprivate(set) var seconds: [Double] = []
    /// Drafted and accepted tokens of all repetitions.
    package fileprivate(set) var drafts = DraftCounts()
    /// What steps of 1, 2, ... rows took at the end, over a step of one row; nil for numbers of rows that were not timed.
    package fileprivate(set) var stepCosts: [Double?] = []

    /// Tokens a second of each repetition.
    package var plainRates: [Double] { plainSeconds.map { Double(tokens) / $0 } }
    package var rates: [Double] { seconds.map { Double(tokens) / $0 } }
    /// The gain of speculation: the median of the repetitions' ratios; nil without speculation.
    package var gain: Double? { seconds.isEmpty ? nil : median(zip(plainSeconds, seconds).map { $0 / $1 }) }
}
