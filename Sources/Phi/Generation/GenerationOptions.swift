import PhiTokenizer

/// How a sequence is continued and where it ends.
///
/// ```swift
/// let options = try GenerationOptions(maximumTokens: 200, stop: ["\ndef ", "\nclass "])
/// ```
public struct GenerationOptions: Sendable, Equatable {
    /// The largest number of tokens to generate; nil for the remaining context.
    public private(set) var maximumTokens: Int?
    /// How each token is chosen.
    public private(set) var sampling = SamplingOptions.greedy
    /// Strings that end the completion and are not part of it. The first one to be complete counts; of several that are
    /// complete together, the longest.
    public private(set) var stop: [String] = []
    /// The number of most likely tokens to report with each chosen one and its own log-probability; 0 for its own alone, nil
    /// for none. They are those of the model's logits, before any processor or temperature.
    public private(set) var logProbabilities: Int?
    /// Whether a token that ends a text (``TextBounds/ends``) is a token like others.
    public private(set) var ignoresEndOfText = false

    /// The number of tokens before which nothing but ``maximumTokens``, the context and a ``constraint`` that allows no more ends the
    /// completion: until then, tokens that would end it are not chosen and stop strings not looked for. A sampler of one's own, which
    /// takes the place of these options', may choose them.
    public private(set) var minimumTokens = 0
    /// Tokens that end the completion like an end of text and are not part of it.
    public private(set) var stopTokens: [TokenID] = []
    /// The texts that the completion is kept to; nil for any. It goes before ``minimumTokens`` and any processor or sampler.
    public package(set) var constraint: Constraint?

    /// The most likely token each time, until the text or the context ends.
    public static let greedy = GenerationOptions()

    /// Creates options; throws ``OptionError`` when `maximumTokens`, `logProbabilities` or `minimumTokens` is negative or a
    /// stop string is empty.
    public init(
        maximumTokens: Int? = nil, sampling: SamplingOptions = .greedy, stop: [String] = [],
        logProbabilities: Int? = nil, ignoresEndOfText: Bool = false, minimumTokens: Int = 0,
        stopTokens: [TokenID] = [], constraint: Constraint? = nil
    ) throws(OptionError) {
        let counts = [
            ("tokens", maximumTokens), ("log-probabilities", logProbabilities), ("least tokens", minimumTokens),
        ]
        for (name, count) in counts {
            if let count, count < 0 {
                throw OptionError(fault: "the number of \(name) must be 0 or more, got \(count)")
            }
        }
        if stop.contains(where: \.isEmpty) { throw OptionError(fault: "a stop string is empty") }
        self.maximumTokens = maximumTokens
        self.sampling = sampling
        self.stop = stop
        self.logProbabilities = logProbabilities
        self.ignoresEndOfText = ignoresEndOfText
        self.minimumTokens = minimumTokens
        self.stopTokens = stopTokens
        self.constraint = constraint
    }

    private init() {}

    /// The tokens that end a completion by `model`.
    func ends(of model: LanguageModel) -> [TokenID] {
        (ignoresEndOfText ? [] : model.textBounds.ends) + stopTokens
    }
}
