import Phi
import PhiTokenizer

/// A text that waits for a slot.
struct WaitingText {
    let job: Job
    /// Its number in the job.
    let number: Int

    /// The number of its prompt among the job's.
    var promptNumber: Int { number / job.choices }
    /// Its number among the texts of its prompt.
    var choice: Int { number % job.choices }
    var prompt: [TokenID] { job.prompts[promptNumber] }
}

/// A text that has a slot. Used by the engine's thread only.
final class RunningText {
    let job: Job
    let number: Int
    let promptNumber: Int
    let prompt: [TokenID]
    let session: Session
    /// Tokens of the prompt that were there already.
    let reusedTokens: Int
    /// What the session has to take next, when its prompt is read.
    private(set) var next: TokenID?
    /// Why it ended, if it has.
    private(set) var reason: StopReason?
    private var sampler: Sampler
    private var output: GeneratedText
    private var chosenTokens = 0
    private var promptScores: [ScoredToken] = []
    private var unsentScores: [ScoredToken] = []
    /// When it got its slot.
    let began = ContinuousClock.now
    /// When its last token was chosen.
    private(set) var lastTokenAt: ContinuousClock.Instant?

    /// Begins `text` with a session that may hold the beginning of its prompt. `scores` are the prompt's, if they are known.
    init(_ text: WaitingText, _ session: Session, scores: [ScoredToken]?) {
        let options = text.job.options.sampling
        let own = options.seeded(options.seed &+ UInt64(text.choice))
        job = text.job
        number = text.number
        promptNumber = text.promptNumber
        prompt = text.prompt
        self.session = session
        reusedTokens = session.tokens.count
        sampler = Sampler(
            own, vocabulary: session.model.config.vocabulary, processors: job.bias.map { [$0] } ?? [])
        output = GeneratedText(session.model.tokenizer.vocabulary, stop: job.options.stop)
        if let scores {
            promptScores = scores
            sendPromptScores()
        }
        if isSilent, !isScoring { end(.maximumTokens) }
    }

    /// Tokens of the prompt that are to be read.
    var unread: Int { isSilent && !isScoring ? 0 : max(0, prompt.count - session.tokens.count) }

    /// Whether the prompt's tokens are scored while it is read, which takes the logits of each of them.
    var isScoring: Bool { job.scoresPrompts && promptScores.count < prompt.count }

    /// The prompt's scores, when they are complete.
    var scores: [ScoredToken]? { job.scoresPrompts && !isScoring ? promptScores : nil }

    /// Whether it makes no token at all, only scores.
    private var isSilent: Bool { job.options.maximumTokens == 0 }

    /// What the next step takes of it: a slice of the prompt, or the token that was chosen.
    func work(slice: Int) -> [TokenID] {
        if unread > 0 { return Array(prompt[session.tokens.count...].prefix(slice)) }
        return next.map { [$0] } ?? []
    }

    /// Reads a slice of the prompt by itself and scores what follows each of its tokens; after the last one a token is chosen.
    func score(slice: Int) throws(SessionError) {
        guard let top = job.logProbabilities else { return }
        let first = session.tokens.count
        if first == 0 { promptScores = [ScoredToken(prompt[0])] }
        var scores: [ScoredToken] = []
        try session.append(prompt[first...].prefix(slice)) { place, logits in
            let following = first + place + 1
            if following < self.prompt.count {
                scores.append(ScoredToken(self.prompt[following], logits, top: top))
            }
        }
        promptScores += scores
        if unread == 0 {
            sendPromptScores()
            choose()
        }
    }

    private func sendPromptScores() { job.send(.prompt(text: number, promptScores)) }

    /// Chooses the next token, if the whole prompt is read, and tells what is decided by it.
    func choose() {
        guard unread == 0, reason == nil else { return }
        if isSilent {
            end(.maximumTokens)
            return
        }
        let history = session.tokens
        let chosen = session.withLogits { logits in
            let token = sampler.sample(logits, history: history)
            return (token, job.logProbabilities.map { ScoredToken(token, logits, top: $0) })
        }
        guard let (token, score) = chosen else { return }
        lastTokenAt = .now
        chosenTokens += 1
        if let score { unsentScores.append(score) }
        next = token
        let text: String
        (text, reason) = output.take(token, of: session, maximumTokens: job.options.maximumTokens)
        if !text.isEmpty || (reason != nil && !unsentScores.isEmpty) {
            job.send(.piece(text: number, text, tokens: unsentScores))
            unsentScores = []
        }
        if let reason { self.end(reason) }
    }

    private func end(_ reason: StopReason) {
        self.reason = reason
        job.send(.end(text: number, reason, usage))
    }

    private var usage: TextUsage {
        TextUsage(promptTokens: prompt.count, reusedTokens: reusedTokens, completionTokens: chosenTokens)
    }
}
