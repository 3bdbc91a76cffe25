import Phi
import PhiTokenizer

/// How surprised a model is by a text: e to the mean of -log p of the tokens that really came.
///
/// ```swift
/// let windows = try TextWindows(model.tokenizer.encode(text, specialTokens: false), context: 512)
/// let result = try Perplexity.measure(model, on: windows)
/// print(result.perplexity.value, result.perplexity.error)
/// ```
///
/// In the terms of llama-perplexity (`tools/perplexity/perplexity.cpp`): the same windows, the same tokens scored, the same
/// error, so that figures can be compared where the tokens are the same.
public struct Perplexity: Sendable {
    /// The mean of -log p, in nats.
    public let loss: Estimate
    /// e to its power.
    public var perplexity: Estimate { loss.exponential }
    /// The perplexity after each window of all windows so far.
    public let course: [Estimate]
    /// Tokens that were predicted.
    public let scored: Int

    /// Reads the windows, keeping keys and values as `cache` says or as suits the model. `onLogits` gets the logits of each prediction in order; `shouldContinue` is asked before each window, with
    /// the share that is done.
    ///
    /// Throws ``SessionError`` when the model has no room for a window, ``OptionError`` when its logits are not finite, what
    /// `onLogits` throws, and `CancellationError` when `shouldContinue` says so.
    public static func measure(
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
        return Perplexity(loss: losses.estimate, course: course, scored: losses.count)
    }
}
