import PhiTokenizer

/// A method of choosing the next token from logits. ``Sampler`` implements ``SamplingOptions``; others can be added:
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
    /// Returns the next token. `logits`, [vocabulary], are valid during the call; `history` is the sequence so far,
    /// including the prompt. An id that is not a token ends the completion with ``SessionError``.
    mutating func sample(_ logits: UnsafeBufferPointer<Float>, history: [TokenID]) -> TokenID
}

extension Sampler: TokenSampler {}
