import Phi
import PhiFormat
import PhiTokenizer
import Synchronization

/// A request that was submitted to the engine: its deadline, its cancellation and the stream of its events. Any thread may use
/// it.
package final class SubmittedRequest: Sendable {
    let request: CompletionRequest
    /// Whose prefixes it may use.
    let scope: CacheScope
    let arrival = ContinuousClock.now
    let deadline: ContinuousClock.Instant
    /// The events of its sequences. They end after the last sequence's end or when the request is cancelled; ``APIError`` is
    /// thrown when the request fails.
    package let events: CompletionEvents
    private let continuation: CompletionEvents.Continuation
    private let cancelled = Atomic<Bool>(false)

    package init(
        _ request: CompletionRequest, timeLimit: Duration = .seconds(600), key: SHA256Digest? = nil
    ) {
        self.request = request
        scope = CacheScope(key: key, salts: request.cacheSalts)
        deadline = arrival + timeLimit
        // Unbounded: there are no more events than tokens, and a slow client must not delay the others.
        (events, continuation) = CompletionEvents.makeStream()
    }

    /// Cancels the request: the engine drops it before its next step.
    package func cancel() { cancelled.store(true, ordering: .relaxed) }

    var isCancelled: Bool { cancelled.load(ordering: .relaxed) }

    func send(_ event: CompletionEvent) { continuation.yield(event) }

    /// Ends the stream of events.
    func finish() { continuation.finish() }

    /// Ends the stream of events by an error.
    func fail(_ error: APIError) { continuation.finish(throwing: error) }
}

/// The events of one request's sequences.
package typealias CompletionEvents = AsyncThrowingStream<CompletionEvent, any Error>

/// An event of one sequence of a request; sequences are numbered prompt after prompt, choice after choice.
package enum CompletionEvent: Sendable {
    /// The log-probabilities of the prompt's tokens, of all but the first.
    case promptScored(sequence: Int, [TokenChoice])
    /// Text that no later token can change. `tokens` are those that were chosen since the last such event, if the request
    /// wants log-probabilities; their text may follow in later events.
    case text(sequence: Int, String, tokens: [TokenChoice])
    /// The end of the sequence.
    case end(sequence: Int, StopReason, SequenceUsage, SequenceTimes)
}

/// When a finished sequence got its slot, when its first token was chosen, if there is one, and when it ended.
package struct SequenceTimes: Sendable {
    let start: ContinuousClock.Instant
    let firstToken: ContinuousClock.Instant?
    let end: ContinuousClock.Instant
}

/// The token counts of a finished sequence.
package struct SequenceUsage: Sendable, Equatable {
    /// Tokens of its prompt.
    package let promptTokens: Int
    /// Tokens of the prompt that were taken from the prefix cache or from another sequence.
    package let reusedTokens: Int
    /// Generated tokens, including `<|endoftext|>` at the end.
    package let completionTokens: Int
}
