import PhiTokenizer

/// What ``Session/complete(_:_:onText:)-([TokenID],_,_)`` made, and how long it took.
public struct Completion: Sendable, Equatable {
    /// The text, without the stop string. A character that is unfinished at the end is U+FFFD, as in
    /// `Tokenizer.decode(_:skipSpecial:)`.
    public let text: String
    /// The tokens that were chosen, those of the stop string included, `<|endoftext|>` at the end not.
    public let tokens: [TokenID]
    /// What the model said about each of ``tokens``, if ``GenerationOptions/logProbabilities`` asked for it; else empty.
    public let choices: [TokenChoice]
    /// Why it ended.
    public let stopReason: StopReason
    /// Tokens of the prompt.
    public let promptTokens: Int
    /// Tokens of the prompt that the session had already and did not compute again.
    public let reusedTokens: Int
    /// How long it took.
    public let timings: Timings

    /// Durations in seconds, by a clock that never goes back.
    public struct Timings: Sendable, Equatable {
        /// Reading the prompt.
        public let prefill: Double
        /// From the first token to the end; ``Completion/tokens`` less one were computed in it.
        public let decode: Double
        /// From the call until the first token was chosen; nil if none was.
        public let firstToken: Double?
    }
}

/// Why a completion ended.
public enum StopReason: Sendable, Equatable, CustomStringConvertible {
    /// The model ended the text with `<|endoftext|>`.
    case endOfText
    /// This stop string came up.
    case stopString(String)
    /// All tokens that were asked for are there.
    case maximumTokens
    /// The next token could be chosen but has no place in the context.
    case contextFull
    /// The caller wanted no more.
    case cancelled

    /// The name for JSON, which does not change: `end_of_text`, `stop_string`, `max_tokens`, `context_full` or
    /// `cancelled`.
    public var name: String {
        switch self {
        case .endOfText: "end_of_text"
        case .stopString: "stop_string"
        case .maximumTokens: "max_tokens"
        case .contextFull: "context_full"
        case .cancelled: "cancelled"
        }
    }

    /// The name.
    public var description: String { name }
}
