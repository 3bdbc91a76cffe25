import PhiTokenizer

/// Chooses tokens from logits by ``SamplingOptions``.
///
/// ```swift
/// var sampler = Sampler(options, vocabulary: model.config.vocabulary)
/// let token = session.withLogits { sampler.sample($0, history: session.tokens) }
/// ```
///
/// All arithmetic is IEEE's in a fixed order, so one seed gives the same tokens on every machine. Where tokens are
/// equally likely, the one of the lower id comes first. After it is made, sampling allocates nothing.
///
/// Complexity: linear in the vocabulary, and m log m in the m tokens that top-k, top-p and min-p leave, or twice that.
public struct Sampler: Sendable {
    /// What it goes by.
    public let options: SamplingOptions
    private let vocabulary: Int
    private var generator: SplitMix64
    private var processors: [any LogitProcessor]
    private var edited: [Float]  // [vocabulary], where there are processors
    private var weights: [Double]  // [vocabulary]
    private var histogram = WeightHistogram()
    private var candidates: CandidateHeap

    /// A sampler at the beginning of its random numbers, for a model of `vocabulary` tokens. `processors` edit the logits one
    /// after the other, after the repeat penalty and before the temperature.
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

    /// The next token. `logits` has one logit a token of the vocabulary that the sampler was made for, `history` is the
    /// text so far, which only processors read. A token whose logit is NaN is not taken unless all are.
    public mutating func sample(_ logits: UnsafeBufferPointer<Float>, history: [TokenID]) -> TokenID {
        precondition(logits.count == vocabulary, "one logit a token")
        guard !processors.isEmpty else { return choose(Logits(values: logits)) }
        // Moved out and back, so that the array is not copied.
        var values: [Float] = []
        swap(&values, &edited)
        defer { swap(&values, &edited) }
        for (place, logit) in logits.enumerated() { values[place] = logit }
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
        let place = generator.nextUnit()
        guard candidates.capacity > 0 else { return Self.draw(weights, place * sum) }
        candidates.fill(weights, from: leastWeight(sum))
        let kept = prune(sum)
        return candidates.draw(weights, kept.count, place * kept.sum)
    }

    /// What a token weighs at least that the options can leave, or somewhat less.
    private mutating func leastWeight(_ sum: Double) -> Double {
        // Min-p comes after top-p, which has to see all that top-k leaves.
        if options.topK == 0, options.topP == 1 { return options.minP }
        histogram.count(weights)
        if options.topK == 0 { return max(options.minP, histogram.least(forSum: options.topP * sum)) }
        return histogram.least(forCount: options.topK)
    }

    /// How many of the candidates in falling order top-k, top-p and min-p leave, and their sum.
    private mutating func prune(_ sum: Double) -> (count: Int, sum: Double) {
        var limit = candidates.count
        var whole = sum  // what top-p is a share of
        if options.topK > 0 {
            limit = min(options.topK, limit)
            whole = 0
            for place in 0..<limit { whole += weights[Int(candidates.token(at: place, weights))] }
        }
        var kept = 0.0
        for place in 0..<limit {
            let weight = weights[Int(candidates.token(at: place, weights))]
            let isNucleus = options.topP < 1 && kept >= options.topP * whole
            if place > 0, isNucleus || weight < options.minP { return (place, kept) }
            kept += weight
        }
        return (limit, kept)
    }

    /// The token at which the running sum of weights, by rising id, passes `place`.
    private static func draw(_ weights: [Double], _ place: Double) -> TokenID {
        var sum = 0.0
        var last = 0
        for (i, weight) in weights.enumerated() where weight > 0 {
            sum += weight
            last = i
            if sum > place { break }
        }
        return TokenID(truncatingIfNeeded: last)
    }
}
