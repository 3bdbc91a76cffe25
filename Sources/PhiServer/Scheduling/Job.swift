import Phi
import PhiTokenizer
import Synchronization

/// A request's texts, as the scheduler gets them: every prompt continued `choices` times.
final class Job: Sendable {
    /// The prompts, none of them empty and all of tokens that the model has.
    let prompts: [[TokenID]]
    /// Texts for each prompt. They differ in their seeds: each one's is the one before's plus 1.
    let choices: Int
    /// How each text is made; the seed is that of each prompt's first.
    let options: GenerationOptions
    /// Added to logits before a token is chosen.
    let bias: LogitBias?
    /// Likeliest tokens to tell at each place, beside the log-probability of the one that is there; nil tells nothing.
    let logProbabilities: Int?
    /// Whether the prompt's own tokens get log-probabilities too.
    let scoresPrompts: Bool
    /// When the request has taken too long.
    let deadline: ContinuousClock.Instant
    let arrival = ContinuousClock.now
    private let events: AsyncStream<Event>.Continuation
    private let isGivenUp = Atomic<Bool>(false)

    /// What is told about a request's texts, each known by its number: prompt after prompt, choice after choice.
    enum Event: Sendable {
        /// The log-probabilities of a text's prompt.
        case prompt(text: Int, [ScoredToken])
        /// A piece of a text that is decided. `tokens` are those that were chosen since the last piece, if anybody wants
        /// log-probabilities; their text may come later, when it is decided.
        case piece(text: Int, String, tokens: [ScoredToken])
        /// A text's end.
        case end(text: Int, StopReason, TextUsage)
        /// The request's end before its time.
        case failure(APIError)
    }

    /// Makes a job, and the events about it: they end with the last text's end, after a failure, or when it is cancelled.
    static func make(
        prompts: [[TokenID]], choices: Int = 1, options: GenerationOptions, bias: LogitBias? = nil,
        logProbabilities: Int? = nil, scoresPrompts: Bool = false, timeLimit: Duration
    ) -> (job: Job, events: AsyncStream<Event>) {
        // Not bounded: there are at most as many events as tokens, and a reader that is slow must not hold up the others.
        let (events, continuation) = AsyncStream.makeStream(of: Event.self)
        let job = Job(
            prompts: prompts, choices: choices, options: options, bias: bias, logProbabilities: logProbabilities,
            scoresPrompts: scoresPrompts, deadline: .now + timeLimit, events: continuation)
        return (job, events)
    }

    private init(
        prompts: [[TokenID]], choices: Int, options: GenerationOptions, bias: LogitBias?, logProbabilities: Int?,
        scoresPrompts: Bool, deadline: ContinuousClock.Instant, events: AsyncStream<Event>.Continuation
    ) {
        self.prompts = prompts
        self.choices = choices
        self.options = options
        self.bias = bias
        self.logProbabilities = logProbabilities
        self.scoresPrompts = scoresPrompts
        self.deadline = deadline
        self.events = events
    }

    /// Texts to be made.
    var textCount: Int { prompts.count * choices }

    /// Says that nobody waits for it any more; the engine's next step is without it.
    func cancel() { isGivenUp.store(true, ordering: .relaxed) }

    /// Whether somebody said so.
    var isCancelled: Bool { isGivenUp.load(ordering: .relaxed) }

    func send(_ event: Event) { events.yield(event) }

    func finish() { events.finish() }

    /// Ends it before its time.
    func fail(_ error: APIError) {
        send(.failure(error))
        finish()
    }
}

/// A token at its place in a text, and what the model thought of it.
struct ScoredToken: Sendable {
    let token: TokenID
    /// Nil for a text's first token, before which there is nothing to go by.
    let logProbability: Double?
    /// The likeliest tokens at this place, the likeliest first.
    let top: [TokenProbability]

    init(_ token: TokenID) {
        self.token = token
        logProbability = nil
        top = []
    }

    /// Takes `token` and the `count` likeliest from the logits that it was chosen by. The model's own logits, before bias,
    /// penalty and temperature.
    init(_ token: TokenID, _ logits: UnsafeBufferPointer<Float>, top count: Int) {
        let all = LogProbabilities(logits)
        self.token = token
        logProbability = all.of(token)
        top = all.top(count)
    }
}

/// What a text took.
struct TextUsage: Sendable {
    /// Tokens of its prompt.
    let promptTokens: Int
    /// Tokens of the prompt that were not computed for it.
    let reusedTokens: Int
    /// Tokens that were chosen, `<|endoftext|>` at the end among them.
    let completionTokens: Int
}
