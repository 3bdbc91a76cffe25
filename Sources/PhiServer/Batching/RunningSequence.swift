import Phi
import PhiTokenizer

/// A sequence that waits for a slot.
struct WaitingSequence {
    let owner: SubmittedRequest
    /// Its number among the sequences of its request.
    let number: Int
    /// The scores of its prompt, if another sequence of the request has computed them.
    var promptScores: [TokenChoice]?

    var promptNumber: Int { number / owner.request.choices }
    /// Its number among the sequences of its prompt.
    var choice: Int { number % owner.request.choices }
    var prompt: [TokenID] { owner.request.prompts[promptNumber] }
}

/// A sequence that has a slot. Used by the engine's thread only.
final class RunningSequence {
    let owner: SubmittedRequest
    let number: Int
    let promptNumber: Int
    let prompt: [TokenID]
    let session: Session
    /// Tokens of the prompt that the session held at the start.
    let reusedTokens: Int
    /// The reason of its end, once it has ended.
    private(set) var stopReason: StopReason?
    /// The log-probabilities of the prompt's tokens but the first, once they are complete.
    private(set) var promptScores: [TokenChoice]?
    /// The token that was chosen last, which the session has not appended yet.
    private var lastToken: TokenID?
    private var sampler: Sampler
    private var output: GeneratedText
    private var completionTokens = 0
    private var partialScores: [TokenChoice] = []
    private var unsentChoices: [TokenChoice] = []
    /// When it got its slot.
    let start = ContinuousClock.now
    /// When its last token was chosen.
    private(set) var lastTokenTime: ContinuousClock.Instant?

    /// Starts a sequence on a session that may hold a prefix of its prompt.
    init(_ waiting: WaitingSequence, _ session: Session) {
        owner = waiting.owner
        number = waiting.number
        promptNumber = waiting.promptNumber
        prompt = waiting.prompt
        self.session = session
        reusedTokens = session.tokens.count
        let options = owner.request.options
        sampler = Sampler(
            options.sampling.seeded(options.sampling.seed &+ UInt64(waiting.choice)),
            vocabulary: session.model.config.vocabulary, processors: owner.request.bias.map { [$0] } ?? [])
        output = GeneratedText(session.model.tokenizer.vocabulary, stop: options.stop)
        if let scores = waiting.promptScores { promptIsScored(scores) }
        if generatesNothing, !isScoring { end(.maximumTokens) }
    }

    /// Tokens of the prompt that remain to be prefilled.
    var remainingPrefill: Int { generatesNothing && !isScoring ? 0 : max(0, prompt.count - session.tokens.count) }

    /// Whether the prefill also computes the prompt's log-probabilities, which takes the logits of each token.
    var isScoring: Bool { owner.request.scoresPrompts && promptScores == nil }

    private var generatesNothing: Bool { owner.request.options.maximumTokens == 0 }

    /// The tokens to append in the next step: a prefill chunk of `chunk` tokens, or the token that was chosen last.
    func nextTokens(chunk: Int) -> ArraySlice<TokenID> {
        if remainingPrefill > 0 { return prompt[session.tokens.count...].prefix(chunk) }
        return lastToken.map { [$0] } ?? []
    }

    /// Prefills a chunk by itself and scores the tokens that follow; chooses a token after the last chunk.
    func scorePrompt(chunk: Int) throws(SessionError) {
        let alternatives = owner.request.options.logProbabilities ?? 0
        let first = session.tokens.count
        var scores: [TokenChoice] = []
        try session.append(nextTokens(chunk: chunk)) { offset, logits in
            let next = first + offset + 1
            if next < prompt.count {
                scores.append(TokenChoice(prompt[next], of: logits, alternatives: alternatives))
            }
        }
        partialScores += scores
        if remainingPrefill == 0 {
            promptIsScored(partialScores)
            chooseToken()
        }
    }

    private func promptIsScored(_ scores: [TokenChoice]) {
        promptScores = scores
        owner.send(.promptScored(sequence: number, scores))
    }

    /// Chooses the next token, if the whole prompt is prefilled, and sends the text that it completes.
    func chooseToken() {
        guard remainingPrefill == 0, stopReason == nil else { return }
        if generatesNothing { return end(.maximumTokens) }
        let options = owner.request.options
        let history = session.tokens
        let chosen = session.withLogits { logits in
            let token = sampler.sample(logits, history: history)
            return (token, options.logProbabilities.map { TokenChoice(token, of: logits, alternatives: $0) })
        }
        guard let (token, choice) = chosen else { return }
        lastTokenTime = .now
        completionTokens += 1
        if let choice { unsentChoices.append(choice) }
        lastToken = token
        let (text, reason) = output.take(token, of: session, maximumTokens: options.maximumTokens)
        if !text.isEmpty || (reason != nil && !unsentChoices.isEmpty) {
            owner.send(.text(sequence: number, text, tokens: unsentChoices))
            unsentChoices = []
        }
        if let reason { end(reason) }
    }

    private func end(_ reason: StopReason) {
        stopReason = reason
        let usage = SequenceUsage(
            promptTokens: prompt.count, reusedTokens: reusedTokens, completionTokens: completionTokens)
        owner.send(.end(sequence: number, reason, usage))
    }
}
