import Phi
import PhiTokenizer

/// The divergence of a quantised model's predictions from those of its base, with the statistics of
/// `llama-perplexity --kl-divergence`.
///
/// The base's logits are exact floats; llama.cpp stores them in 16 bits and drops probabilities below e^-16.
package struct Divergence: Sendable {
    private let sums: DivergenceSums
    private let sorted: SortedValues

    private init(_ sums: DivergenceSums) {
        self.sums = sums
        sorted = SortedValues(sums.divergences)
    }

    /// The mean Kullback-Leibler divergence of the model from the base, in nats.
    package var mean: Estimate { sums.divergence.estimate }
    /// The divergence that this fraction of all predictions does not exceed.
    package func quantile(_ share: Double) -> Double { sorted.quantile(share) }
    /// The frequency of agreement on the most likely token.
    package var topAgreement: Estimate { sums.agreement.estimate }
    /// The mean change of the actual token's probability.
    package var probabilityChange: Estimate { sums.change.estimate }
    /// The root mean square of that change.
    package var probabilityChangeRMS: Estimate { sums.changeSquared.estimate.squareRoot }
    /// The model's perplexity.
    package var perplexity: Estimate { sums.loss.estimate.exponential }
    /// The base's perplexity.
    package var basePerplexity: Estimate { sums.baseLoss.estimate.exponential }
    /// The model's perplexity over the base's, from differences per token: its error equals that of llama-perplexity, which
    /// takes the covariance into account.
    package var perplexityRatio: Estimate { sums.lossDifference.estimate.exponential }

    /// A source of the base's logits: fills the buffer, [vocabulary], with those of the next prediction.
    package typealias NextLogits = (UnsafeMutableBufferPointer<Float>) throws -> Void

    /// Compares `model`, with a KV cache in `cache` or by default its own encoding, with stored logits, which `next` returns in
    /// the order of the windows' predictions. `shouldContinue` is called before each window with the fraction done.
    ///
    /// Throws ``SessionError`` when a window exceeds the model's context, ``OptionError`` when the model's logits are not finite,
    /// ``BaseLogitsFault`` when the base's are not, what `next` throws, and `CancellationError` when `shouldContinue` returns false.
    package static func measure(
        _ model: LanguageModel, against next: NextLogits, on windows: TextWindows, threads: Int? = nil,
        cache: CacheEncoding? = nil, while shouldContinue: (Double) -> Bool = { _ in true }
    ) throws -> Divergence {
        let session = try Session(model, context: windows.context, threads: threads, cache: cache)
        var sums = DivergenceSums()
        var base = [Float](repeating: 0, count: model.config.vocabulary)
        try windows.forEachPrediction(in: session, while: shouldContinue) { logits, token in
            try base.withUnsafeMutableBufferPointer { base in
                try next(base)
                try sums.add(
                    LogProbabilities(logits), against: LogProbabilities(UnsafeBufferPointer(base)), token: token)
            }
        }
        return Divergence(sums)
    }

    /// Compares `model` with `base`, batch by batch of the same windows. `onLogits` receives the base's logits of each
    /// prediction. Otherwise as with stored logits; throws ``OptionError`` also when the vocabularies differ in size.
    package static func measure(
        _ model: LanguageModel, against base: LanguageModel, on windows: TextWindows, threads: Int? = nil,
        cache: CacheEncoding? = nil,
        onLogits: (UnsafeBufferPointer<Float>) throws -> Void = { _ in },
        while shouldContinue: (Double) -> Bool = { _ in true }
    ) throws -> Divergence {
        guard model.config.vocabulary == base.config.vocabulary else {
            throw OptionError(
                fault: "has \(model.config.vocabulary) tokens, the base \(base.config.vocabulary)")
        }
        let pair = try ModelPair(model, base, context: windows.context, threads: threads, cache: cache)
        var sums = DivergenceSums()
        for index in 0..<windows.count {
            guard shouldContinue(Double(index) / Double(windows.count)) else { throw CancellationError() }
            try pair.evaluate(windows.window(index), from: windows.firstScored) { logits, baseLogits, token in
                try sums.add(LogProbabilities(logits), against: LogProbabilities(baseLogits), token: token)
                try onLogits(baseLogits)
            }
        }
        return Divergence(sums)
    }
}

/// Logits of the base that are not finite.
package struct BaseLogitsFault: Error {}

/// The running sums of a ``Divergence``.
private struct DivergenceSums: Sendable {
    var loss = RunningMean()
    var baseLoss = RunningMean()
    var lossDifference = RunningMean()
    var divergence = RunningMean()
    var agreement = RunningMean()
    var change = RunningMean()
    var changeSquared = RunningMean()
    var divergences: [Double] = []

    mutating func add(_ model: LogProbabilities, against base: LogProbabilities, token: TokenID) throws {
        guard base.logPartition.isFinite else { throw BaseLogitsFault() }
        guard model.logPartition.isFinite else { throw OptionError(fault: "gives logits that are not finite") }
        let divergence = base.divergence(of: model)
        let change = DeterministicMath.exp(model.of(token)) - DeterministicMath.exp(base.of(token))
        loss.add(-model.of(token))
        baseLoss.add(-base.of(token))
        lossDifference.add(base.of(token) - model.of(token))
        self.divergence.add(divergence)
        divergences.append(divergence)
        agreement.add(model.likeliest == base.likeliest ? 1 : 0)
        self.change.add(change)
        changeSquared.add(change * change)
    }
}

/// Two models evaluated on the same tokens, so that the logits of both are available together.
private struct ModelPair {
    private let session: Session
    private let base: Session
    private let vocabulary: Int

    init(_ model: LanguageModel, _ base: LanguageModel, context: Int, threads: Int?, cache: CacheEncoding?) throws {
        session = try Session(model, context: context, threads: threads, cache: cache)
        self.base = try Session(base, context: context, threads: threads)
        vocabulary = model.config.vocabulary
    }

    /// Evaluates a window; `body` receives the model's and the base's logits after each token from index `first` on except the
    /// last, and the token that follows.
    func evaluate(
        _ window: ArraySlice<TokenID>, from first: Int,
        _ body: (UnsafeBufferPointer<Float>, UnsafeBufferPointer<Float>, TokenID) throws -> Void
    ) throws {
        let start = window.startIndex + first
        for session in [session, base] {
            session.truncate(to: 0)
            try session.append(window[..<start])
        }
        var rows: [Float] = []  // [batch][vocabulary]
        for place in stride(from: start, to: window.endIndex - 1, by: Engine.batchTokens) {
            let batch = window[place..<min(place + Engine.batchTokens, window.endIndex - 1)]
            rows.removeAll(keepingCapacity: true)
            try base.append(batch) { _, logits in rows.append(contentsOf: logits) }
            try rows.withUnsafeBufferPointer { rows in
                try session.forEachLogits(appending: batch) { row, logits in
                    let baseLogits = rows[row * vocabulary..<(row + 1) * vocabulary]
                    try body(logits, UnsafeBufferPointer(rebasing: baseLogits), window[place + row + 1])
                }
            }
        }
    }
}
