/// How a text is continued and where it ends.
///
/// ```swift
/// let options = try GenerationOptions(maximumTokens: 200, stop: ["\ndef ", "\nclass "])
/// ```
public struct GenerationOptions: Sendable, Equatable {
    /// Tokens to make at most; nil for as many as the context has room for.
    public let maximumTokens: Int?
    /// How each token is chosen.
    public let sampling: SamplingOptions
    /// Texts that end the completion and are not part of it. The one that is complete first counts; of those that are
    /// complete together, the longest.
    public let stop: [String]
    /// How many of the likeliest tokens to report with each chosen one, and its own log-probability; 0 for its own alone, nil
    /// for none. They are of the model's logits, before any processor or temperature.
    public let logProbabilities: Int?

    /// The likeliest token each time, until the text or the context ends.
    public static let greedy = GenerationOptions()

    /// Makes options; throws ``OptionError`` when `maximumTokens` or `logProbabilities` is negative or a stop string is empty.
    public init(
        maximumTokens: Int? = nil, sampling: SamplingOptions = .greedy, stop: [String] = [],
        logProbabilities: Int? = nil
    ) throws(OptionError) {
        if let maximumTokens, maximumTokens < 0 {
            throw OptionError(fault: "the number of tokens is \(maximumTokens), not 0 or more")
        }
        if let logProbabilities, logProbabilities < 0 {
            throw OptionError(fault: "the number of log-probabilities is \(logProbabilities), not 0 or more")
        }
        if stop.contains(where: \.isEmpty) { throw OptionError(fault: "a stop string is empty") }
        self.maximumTokens = maximumTokens
        self.sampling = sampling
        self.stop = stop
        self.logProbabilities = logProbabilities
    }

    private init() {
        maximumTokens = nil
        sampling = .greedy
        stop = []
        logProbabilities = nil
    }
}
