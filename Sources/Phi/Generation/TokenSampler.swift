import PhiTokenizer

/// Chooses the next token from logits. ``Sampler`` is the one that ``SamplingOptions`` describe; another way of choosing is
/// a type of one's own:
///
/// ```swift
/// struct SecondBest: TokenSampler {
///     func sample(_ logits: UnsafeBufferPointer<Float>, history: [TokenID]) -> TokenID {
///         LogProbabilities(logits).top(2).last?.token ?? 0
///     }
/// }
/// let result = try session.complete(prompt, sampler: SecondBest())
/// ```
public protocol TokenSampler: Sendable {
    /// The next token. `logits` has one logit a token of the vocabulary and is valid during the call; `history` is the text so
    /// far, prompt included. What is chosen must be a token: an id that is none ends a completion with ``SessionError``.
    mutating func sample(_ logits: UnsafeBufferPointer<Float>, history: [TokenID]) -> TokenID
}

extension Sampler: TokenSampler {}
