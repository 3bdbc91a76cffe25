import PhiTokenizer

/// One token of a completion, and the text that it completes.
public struct GeneratedToken: Sendable, Equatable {
    /// The chosen token; the last may be an end of text.
    public let token: TokenID
    /// The text that is final with this token: empty while a character is incomplete or a stop string may have begun,
    /// and including text held back for earlier tokens. Concatenated, these are the completion's text.
    public let text: String
    /// The token's log-probability and its alternatives, if requested by ``GenerationOptions/logProbabilities``.
    public let choice: TokenChoice?
    /// Why the completion ends with this token; nil if it continues.
    public let stopReason: StopReason?
}
