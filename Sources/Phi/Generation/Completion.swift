import PhiTokenizer

/// The result of ``Session/complete(_:_:onText:)-([TokenID],_,_)``, with its timings.
public struct Completion: Sendable, Equatable {
    /// The text, without the stop string. An incomplete character at the end is U+FFFD, as in
    /// `Tokenizer.decode(_:skipSpecial:)`.
    public let text: String
    /// The generated tokens, including those of the stop string but not a final end of text.
    public let tokens: [TokenID]
    /// Log-probabilities of each of ``tokens``, if requested by ``GenerationOptions/logProbabilities``; else empty.
    public let choices: [TokenChoice]
    /// Why the completion ended.
    public let stopReason: StopReason
    /// Number of tokens of the prompt.
    public let promptTokens: Int
    /// Number of tokens of the prompt that the session already held.
    public let reusedTokens: Int
    /// How long the completion took.
    public let timings: Timings

    /// Durations in seconds, by a monotonic clock.
    public struct Timings: Sendable, Equatable {
        /// From the call to the end of prefill.
        public let prefill: Double
        /// From the first token to the end: one decode step for each of ``Completion/tokens`` but the first.
        public let decode: Double
        /// From the call to the first token; nil if there was none.
        public let firstToken: Double?
    }
}

/// Why a completion ended.
public enum StopReason: Sendable, Equatable, CustomStringConvertible {
    /// The model chose a token of ``TextBounds/ends`` or of ``GenerationOptions/stopTokens``.
    case endOfText
    /// The text of a ``GenerationOptions/constraint`` is complete, and nothing may follow.
    case complete
    /// The text reached this stop string.
    case stopString(String)
    /// ``GenerationOptions/maximumTokens`` tokens were generated.
    case maximumTokens
    /// The context is full: the last token cannot be appended.
    case contextFull
    /// The caller cancelled it.
    case cancelled

    /// The stable name used in JSON: `end_of_text`, `complete`, `stop_string`, `max_tokens`, `context_full` or `cancelled`.
    public var name: String {
        switch self {
        case .endOfText: "end_of_text"
        case .complete: "complete"
        case .stopString: "stop_string"
        case .maximumTokens: "max_tokens"
        case .contextFull: "context_full"
        case .cancelled: "cancelled"
        }
    }

    /// The name.
    public var description: String { name }
}
