import Phi
import PhiTokenizer

/// The perplexity of a model on a text: e to the mean of -log p of the actual tokens.
///
/// ```swift
/// let windows = try TextWindows(model.tokenizer.encode(text, specialTokens: false), context: 512)
/// let result = try Perplexity.measure(model, on: windows)
/// print(result.perplexity.value, result.perplexity.error)
/// ```
///
/// Windows, scored tokens and standard errors are those of llama-perplexity (`tools/perplexity/perplexity.cpp`), so figures are
/// comparable where the tokenizers agree.
package struct Perplexity: Sendable {
    /// The mean of -log p, in nats.
    package let loss: Estimate
    /// e to the power of the loss.
    package var perplexity: Estimate { loss.exponential }
    /// The perplexity over all windows up to each one.
    package let course: [Estimate]

    /// Evaluates the windows with a KV cache in `cache`, by default the model's encoding. `onLogits` receives the logits of each
    /// prediction in order; `shouldContinue` is called before each window with the fraction done.
    ///
    /// Throws ``SessionError`` when a window exceeds the model's context, ``OptionError`` when logits are not finite, what
    /// `onLogits` throws, and `CancellationError` when `shouldContinue` returns false.
    package static func measure(
        _ model: LanguageModel, on windows: TextWindows, threads: Int? = nil, cache: CacheEncoding? = nil,
        onLogits: (UnsafeBufferPointer<Float>) throws -> Void = { _ in },
        while shouldContinue: (Double) -> Bool = { _ in true }
    ) throws -> Perplexity {
        let session = try Session(model, context: windows.context, threads: threads, cache: cache)
        var losses = RunningMean()
        var course: [Estimate] = []
        try windows.forEachPrediction(in: session, while: shouldContinue) { logits, token in
            let loss = -LogProbabilities(logits).of(token)
            guard loss.isFinite else { throw OptionError(fault: "gives logits that are not finite") }
            losses.add(loss)
            try onLogits(logits)
            if losses.count % windows.scoredPerWindow == 0 { course.append(losses.estimate.exponential) }
        }
        return Perplexity(loss: losses.estimate, course: course)
    }
}
