import PhiTokenizer

/// One token of a text in the making, and the text that is decided by it.
public struct GeneratedToken: Sendable, Equatable {
    /// The token that was chosen; `<|endoftext|>` too, as the last.
    public let token: TokenID
    /// Text that is decided now. It may be empty, as long as a character is unfinished or a stop string has perhaps begun,
    /// or hold what earlier tokens left open. All of them together are the completion's text.
    public let text: String
    /// What the model said about the choice, if ``GenerationOptions/logProbabilities`` asked for it.
    public let choice: TokenChoice?
    /// Why the text ends with this token; nil if it goes on.
    public let stopReason: StopReason?
}
