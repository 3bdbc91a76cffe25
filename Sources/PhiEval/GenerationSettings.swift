import Phi
import PhiFormat

/// How completions of problems are made, and which run a sample belongs to.
public struct GenerationSettings: Sendable {
    /// Tokens of a completion at most.
    public var maximumTokens: Int
    /// How tokens are chosen. Its seed is where those of the samples come from.
    public var sampling: SamplingOptions
    /// Completions of each problem.
    public var samples: Int
    /// What ends a completion.
    public var stops: [String]
    /// Positions that a text may take at most; nil for as many as the model has.
    public var context: Int?

    /// Makes settings.
    public init(maximumTokens: Int, sampling: SamplingOptions, samples: Int, stops: [String], context: Int? = nil) {
        self.maximumTokens = maximumTokens
        self.sampling = sampling
        self.samples = samples
        self.stops = stops
        self.context = context
    }

    /// Where the random numbers of a problem's sample begin: it depends on nothing but the run's seed, the problem's name and
    /// the sample's place, so that neither batches nor a resumed run change a text.
    func seed(of task: TaskID, sample: Int) -> UInt64 {
        var seed = sampling.seed ^ 0x9E37_79B9_7F4A_7C15
        for byte in "\(task)/\(sample)".utf8 { seed = (seed ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        seed = (seed ^ seed >> 31) &* 0xBF58_476D_1CE4_E5B9
        return seed ^ seed >> 29
    }

    /// Settings for one sample.
    func options(of task: TaskID, sample: Int) -> SamplingOptions { sampling.seeded(seed(of: task, sample: sample)) }

    /// A short name for all that decides about a sample's text: the model, the prompts, how tokens are chosen. How many
    /// samples or problems there are does not count, so a run can grow.
    public func fingerprint(_ model: LanguageModel, _ problems: [CodeProblem]) -> String {
        let seed = sampling.temperature > 0 ? sampling.seed : 0
        let parts =
            [model.file.digest.description, "\(maximumTokens)"] + SamplingParameter.all.map { $0.text(in: sampling) }
            + ["\(seed)", "\(context ?? model.config.context)", model.cacheEncoding.rawValue]
            + stops + problems.flatMap { [$0.id.description, $0.prompt] }
        let text = Array(parts.joined(separator: "\0").utf8)
        return String(text.withUnsafeBytes { SHA256Digest($0).description }.prefix(16))
    }
}
