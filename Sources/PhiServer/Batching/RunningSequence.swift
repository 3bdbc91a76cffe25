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
    /// The log-probabilities of the prompt's tokens but the first, once they are complete.
    private(set) var promptScores: [TokenChoice]?
    /// Chooses its tokens.
    let decoder: SequenceDecoder
    /// Number of tokens chosen so far.
    private(set) var completionTokens = 0
    private var partialScores: [TokenChoice] = []
    private var unsentChoices: [TokenChoice] = []
    /// When it got its slot.
    let start = ContinuousClock.now
    private var firstTokenTime: ContinuousClock.Instant?
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
        let request = waiting.owner.request
        decoder = SequenceDecoder(
            session, request.options,
            sampler: request.options.sampler(
                for: session.model, seed: request.options.sampling.seed &+ UInt64(waiting.choice),
                processors: request.bias.map { [$0] } ?? []))
        if let scores = waiting.promptScores { promptIsScored(scores) }
        sendEnd()
    }

    /// The reason of its end; nil while it has not ended.
    var stopReason: StopReason? { isScoring ? nil : decoder.stopReason }

    /// Whether the prefill also computes the prompt's log-probabilities, which takes the logits of each token.
    var isScoring: Bool { owner.request.scoresPrompts && promptScores == nil }

    /// Tokens of the prompt that remain to be prefilled.
    var remainingPrefill: Int { stopReason != nil ? 0 : max(0, prompt.count - session.tokens.count) }

    /// The next prefill chunk, of at most `chunk` tokens.
    func prefillChunk(_ chunk: Int) -> ArraySlice<TokenID> { prompt.dropFirst(session.tokens.count).prefix(chunk) }

    /// Prefills a chunk by itself and scores the tokens that follow; chooses a token after the last chunk.
    func scorePrompt(chunk: Int) throws(SessionError) {
        let alternatives = owner.request.options.logProbabilities ?? 0
        let first = session.tokens.count
        var scores: [TokenChoice] = []
        try session.append(prefillChunk(chunk)) { offset, logits in
            let next = first + offset + 1
            if next < prompt.count {
                scores.append(TokenChoice(prompt[next], of: logits, alternatives: alternatives))
            }
        }
        partialScores += scores
        if remainingPrefill == 0 {
            promptIsScored(partialScores)
            try chooseTokens()
        }
    }

    private func promptIsScored(_ scores: [TokenChoice]) {
        promptScores = scores
        owner.send(.promptScored(sequence: number, scores))
    }

    /// Chooses the next token, if the whole prompt is prefilled, and those after it whose logits the step has computed because
    /// they were drafted; sends the text that they complete.
    func chooseTokens() throws(SessionError) {
        guard remainingPrefill == 0 else { return }
        repeat {
            guard let token = try decoder.decode() else { break }
            let now = ContinuousClock.now
            (firstTokenTime, lastTokenTime) = (firstTokenTime ?? now, now)
            completionTokens += 1
            if let choice = token.choice { unsentChoices.append(choice) }
            if !token.text.isEmpty || (stopReason != nil && !unsentChoices.isEmpty) {
                owner.send(.text(sequence: number, token.text, tokens: unsentChoices))
                unsentChoices = []
            }
        } while decoder.acceptDraft()
        sendEnd()
    }

    /// Sends the end of the sequence, if it has ended.
    private func sendEnd() {
        guard let stopReason else { return }
        let usage = SequenceUsage(
            promptTokens: prompt.count, reusedTokens: reusedTokens, completionTokens: completionTokens)
        let times = SequenceTimes(start: start, firstToken: firstTokenTime, end: .now)
        owner.send(.end(sequence: number, stopReason, usage, times))
    }
}
