import PhiTokenizer

/// A sampler of tokens by ``SamplingOptions``.
///
/// ```swift
/// var sampler = Sampler(options, vocabulary: model.config.vocabulary)
/// let token = session.withLogits { sampler.sample($0, history: session.tokens) }
/// ```
///
/// Arithmetic is IEEE in a fixed order, so that a seed gives the same tokens on every machine. Equally likely tokens
/// are ordered by id. Nothing allocates after initialisation.
///
/// A sampler is for one sequence: presence and frequency penalties begin where it is first asked.
///
/// Complexity: linear in the vocabulary n, plus m log n to sort the m tokens that top-k, top-p and min-p keep.
public struct Sampler: Sendable {
    /// The sampling parameters.
    public let options: SamplingOptions
    private let vocabulary: Int
    private var generator: SplitMix64
    private var processors: [any LogitProcessor]
    private var edited: [Float]  // [vocabulary] if there are processors
    private var weights: [Double]  // [vocabulary]
    private var histogram = WeightHistogram()
    private var candidates: CandidateHeap

    /// Creates a sampler seeded by `options` for a model of `vocabulary` tokens. `processors` edit the logits in order,
    /// after the penalties and before the temperature.
    public init(_ options: SamplingOptions, vocabulary: Int, processors: [any LogitProcessor] = []) {
        self.options = options
        self.vocabulary = vocabulary
        generator = SplitMix64(seed: options.seed)
        self.processors = options.processors(vocabulary: vocabulary) + processors
        edited = [Float](repeating: 0, count: self.processors.isEmpty ? 0 : vocabulary)
        weights = [Double](repeating: 0, count: options.temperature == 0 ? 0 : vocabulary)
        let prunes = options.temperature != 0 && (options.topK > 0 || options.topP < 1 || options.minP > 0)
        candidates = CandidateHeap(capacity: prunes ? vocabulary : 0)
    }

    /// Returns the next token. `logits` are [vocabulary]; `history` is the sequence so far, read by processors only. A
    /// token whose logit is NaN or minus infinity is chosen only if all are: then the first token is.
    public mutating func sample(_ logits: UnsafeBufferPointer<Float>, history: [TokenID]) -> TokenID {
        precondition(logits.count == vocabulary, "one logit per token of the vocabulary")
        return withDefaultFloats { process(logits, history) }
    }

    /// The processors' edits, then the choice.
    private mutating func process(_ logits: UnsafeBufferPointer<Float>, _ history: [TokenID]) -> TokenID {
        guard !processors.isEmpty else { return choose(Logits(values: logits)) }
        // Swapped out and back, so that the array is not copied.
        var values: [Float] = []
        swap(&values, &edited)
        defer { swap(&values, &edited) }
        for (index, logit) in logits.enumerated() { values[index] = logit }
        do {
            var span = values.mutableSpan
            for index in processors.indices { processors[index].process(&span, history: history) }
        }
        return values.withUnsafeBufferPointer { choose(Logits(values: $0)) }
    }

    private mutating func choose(_ logits: Logits) -> TokenID {
        guard options.temperature > 0 else { return logits.likeliest }
        let sum = logits.exponentials(temperature: options.temperature, into: &weights)
        guard sum > 0 else { return logits.likeliest }  // a logit is infinite, or all are NaN
        let uniform = generator.nextUnit()
        guard candidates.capacity > 0 else { return Self.draw(weights, threshold: uniform * sum) }
        candidates.fill(weights, minimum: minimumWeight(sum))
        let kept = prune(sum)
        return candidates.draw(weights, limit: kept.count, threshold: uniform * kept.sum)
    }

    /// Returns a lower bound of the weights that top-k, top-p and min-p keep.
    private mutating func minimumWeight(_ sum: Double) -> Double {
        // Min-p follows top-p, whose share is of all tokens that top-k keeps.
        if options.topK == 0, options.topP == 1 { return options.minP }
        histogram.count(weights)
        if options.topK == 0 { return max(options.minP, histogram.lowerBound(forSum: options.topP * sum)) }
        return histogram.lowerBound(forCount: options.topK)
    }

    /// Returns how many candidates, in descending order, top-k, top-p and min-p keep, and the sum of their weights.
    private mutating func prune(_ sum: Double) -> (count: Int, sum: Double) {
        var limit = candidates.count
        var total = sum  // of the tokens that top-k keeps
        if options.topK > 0 {
            limit = min(options.topK, limit)
            total = 0
            for rank in 0..<limit { total += weights[Int(candidates.token(rank: rank, weights))] }
        }
        var kept = 0.0
        for rank in 0..<limit {
            let weight = weights[Int(candidates.token(rank: rank, weights))]
            let isBeyondNucleus = options.topP < 1 && kept >= options.topP * total
            if rank > 0, isBeyondNucleus || weight < options.minP { return (rank, kept) }
            kept += weight
        }
        return (limit, kept)
    }

    /// Returns the first token, in order of ids, at which the cumulative weight exceeds `threshold`.
    private static func draw(_ weights: [Double], threshold: Double) -> TokenID {
        var sum = 0.0
        var last = 0
        for (i, weight) in weights.enumerated() where weight > 0 {
            sum += weight
            last = i
            if sum > threshold { break }
        }
        return TokenID(truncatingIfNeeded: last)
    }
}
