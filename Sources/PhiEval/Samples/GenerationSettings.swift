import Phi
import PhiFormat

/// How completions of problems are generated, and which run a sample belongs to.
package struct GenerationSettings: Sendable {
    /// The largest number of tokens of a completion.
    let maximumTokens: Int
    /// How tokens are chosen. The seeds of the samples derive from its seed.
    let sampling: SamplingOptions
    /// The number of completions of each problem.
    package let samples: Int
    /// Strings that end a completion.
    let stops: [String]
    /// The largest number of positions of a sequence; nil for the model's.
    let context: Int?

    package init(maximumTokens: Int, sampling: SamplingOptions, samples: Int, stops: [String], context: Int? = nil) {
        (self.maximumTokens, self.sampling, self.samples) = (maximumTokens, sampling, samples)
        (self.stops, self.context) = (stops, context)
    }

    /// The seed of a sample. It depends only on the run's seed, the problem's name and the sample's index, so neither batching
    /// nor resuming changes a completion.
    func seed(of task: TaskID, sample: Int) -> UInt64 {
        var seed = sampling.seed ^ 0x9E37_79B9_7F4A_7C15
        for byte in "\(task)/\(sample)".utf8 { seed = (seed ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        seed = (seed ^ seed >> 31) &* 0xBF58_476D_1CE4_E5B9
        return seed ^ seed >> 29
    }

    /// The options of a sample.
    func options(of task: TaskID, sample: Int) throws(OptionError) -> GenerationOptions {
        try GenerationOptions(
            maximumTokens: maximumTokens, sampling: sampling.seeded(seed(of: task, sample: sample)), stop: stops)
    }

    /// A hash of everything that determines a sample's text: the model, the prompts, how tokens are chosen. The numbers of
    /// samples and problems are not part of it, so a run can be extended.
    package func fingerprint(_ model: LanguageModel, _ problems: [CodeProblem]) -> String {
        let seed = sampling.temperature > 0 ? sampling.seed : 0
        let parts =
            [model.file.digest.description, "\(maximumTokens)"] + SamplingParameter.all.map { $0.text(in: sampling) }
            + ["\(seed)", "\(context ?? model.config.context)", model.cacheEncoding.rawValue]
            + stops + problems.flatMap { [$0.id.description, $0.prompt] }
        let text = Array(parts.joined(separator: "\0").utf8)
        return String(text.withUnsafeBytes { SHA256Digest($0).description }.prefix(16))
    }

    /// The settings in words, for a report.
    package var description: String {
        let shown = stops.map { "'" + $0.replacing("\n", with: "\\n") + "'" }.joined(separator: " ")
        return "\(sampling), \(samples) \(samples == 1 ? "sample" : "samples") of at most \(maximumTokens) tokens, "
            + "stops \(shown)"
    }
}
