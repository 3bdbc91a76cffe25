import Phi
import PhiTokenizer

/// What a model's predictions lose against those of the model that it was made from, in the terms of
/// `llama-perplexity --kl-divergence`.
///
/// Unlike there, the base's logits are the exact floats: llama.cpp stores them in 16 bits and leaves out what is less likely
/// than e^-16.
public struct Divergence: Sendable {
    /// The mean Kullback-Leibler divergence of the model from the base, in nats.
    public let mean: Estimate
    /// How large the divergence is at most in this share of all predictions.
    public func quantile(_ share: Double) -> Double { sorted.quantile(share) }
    /// How often both find the same token the likeliest.
    public let topAgreement: Estimate
    /// Mean change of the probability of the token that really came.
    public let probabilityChange: Estimate
    /// Root of its mean square.
    public let probabilityChangeRMS: Estimate
    /// The model's perplexity.
    public let perplexity: Estimate
    /// The base's perplexity.
    public let basePerplexity: Estimate
    /// The model's perplexity over the base's.
    public let perplexityRatio: Estimate
    /// Tokens that were predicted.
    public let scored: Int
    private let sorted: SortedValues

    /// Where the base's logits come from: fills the buffer, one logit a token of the model, with those of the next prediction.
    public typealias NextLogits = (UnsafeMutableBufferPointer<Float>) throws -> Void

    /// Compares `model`, whose keys and values are kept as `cache` says or as suits it, with stored logits, which `next` gives
    /// in the order of the windows' predictions. `shouldContinue` is asked before each window, with the share that is done.
    ///
    /// Throws ``SessionError`` when the model has no room for a window, ``OptionError`` when logits are not finite, what
    /// `next` throws, and `CancellationError` when `shouldContinue` says so.
    public static func measure(
        _ model: LanguageModel, against next: NextLogits, on windows: TextWindows, threads: Int? = nil,
        cache: CacheEncoding? = nil,
        while shouldContinue: (Double) -> Bool = { _ in true }
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

    /// Compares `model` with `base`, which has the same tokens; both read the same windows side by side, a part of a window
    /// at a time. `onLogits` gets the base's logits of each prediction. Otherwise as with stored logits; throws
    /// ``OptionError`` also when the vocabularies differ.
    public static func measure(
        _ model: LanguageModel, against base: LanguageModel, on windows: TextWindows, threads: Int? = nil,
        cache: CacheEncoding? = nil,
        onLogits: (UnsafeBufferPointer<Float>) throws -> Void = { _ in },
        while shouldContinue: (Double) -> Bool = { _ in true }
    ) throws -> Divergence {
        guard model.config.vocabulary == base.config.vocabulary else {
            throw OptionError(
                fault: "has \(model.config.vocabulary) tokens, the base \(base.config.vocabulary)")
        }
        let reader = try PairReader(model, base, context: windows.context, threads: threads, cache: cache)
        var sums = DivergenceSums()
        for index in 0..<windows.count {
            guard shouldContinue(Double(index) / Double(windows.count)) else { throw CancellationError() }
            try reader.read(windows.window(index), from: windows.firstScored) { logits, baseLogits, token in
                try sums.add(LogProbabilities(logits), against: LogProbabilities(baseLogits), token: token)
                try onLogits(baseLogits)
            }
        }
        return Divergence(sums)
    }

    private init(_ sums: DivergenceSums) {
        let loss = sums.loss.estimate
        mean = sums.divergence.estimate
        let agreements = sums.agreement.estimate
        topAgreement = agreements
        probabilityChange = sums.change.estimate
        probabilityChangeRMS = sums.changeSquared.estimate.squareRoot
        perplexity = loss.exponential
        basePerplexity = sums.baseLoss.estimate.exponential
        // The differences token by token, whose error is what llama-perplexity gets by the covariance.
        perplexityRatio = sums.lossDifference.estimate.exponential
        scored = sums.divergences.count
        sorted = SortedValues(sums.divergences)
    }
}

/// The sums behind a ``Divergence``.
private struct DivergenceSums {
    var loss = RunningMean()
    var baseLoss = RunningMean()
    var lossDifference = RunningMean()
    var divergence = RunningMean()
    var agreement = RunningMean()
    var change = RunningMean()
    var changeSquared = RunningMean()
    var divergences: [Double] = []

    mutating func add(_ model: LogProbabilities, against base: LogProbabilities, token: TokenID) throws(OptionError) {
        guard base.logPartition.isFinite else { throw OptionError(fault: "the base's logits are not finite") }
        guard model.logPartition.isFinite else { throw OptionError(fault: "gives logits that are not finite") }
        let divergence = base.divergence(of: model)
        let change = exponent(model.of(token)) - exponent(base.of(token))
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

/// Two models that read the same tokens, so that the logits of both are there together.
private struct PairReader {
    private let session: Session
    private let base: Session
    private let vocabulary: Int
    /// Tokens that both read in turn: as many as pass through a session together.
    private static let part = 192

    init(_ model: LanguageModel, _ base: LanguageModel, context: Int, threads: Int?, cache: CacheEncoding?) throws {
        session = try Session(model, context: context, threads: threads, cache: cache)
        self.base = try Session(base, context: context, threads: threads)
        vocabulary = model.config.vocabulary
    }

    /// Reads a window; `body` gets the model's and the base's logits after each token from place `first` on but the last, and
    /// the token that really came.
    func read(
        _ window: ArraySlice<TokenID>, from first: Int,
        _ body: (UnsafeBufferPointer<Float>, UnsafeBufferPointer<Float>, TokenID) throws -> Void
    ) throws {
        let start = window.startIndex + first
        for session in [session, base] {
            session.truncate(to: 0)
            try session.append(window[..<start])
        }
        var rows: [Float] = []  // [part][vocabulary]
        for place in stride(from: start, to: window.endIndex - 1, by: Self.part) {
            let part = window[place..<min(place + Self.part, window.endIndex - 1)]
            rows.removeAll(keepingCapacity: true)
            try base.append(part) { _, logits in rows.append(contentsOf: logits) }
            var fault: (any Error)?
            try rows.withUnsafeBufferPointer { rows in
                try session.append(part) { row, logits in
                    guard fault == nil else { return }
                    let baseLogits = rows[row * vocabulary..<(row + 1) * vocabulary]
                    do {
                        try body(logits, UnsafeBufferPointer(rebasing: baseLogits), window[place + row + 1])
                    } catch {
                        fault = error
                    }
                }
            }
            if let fault { throw fault }
        }
    }
}
