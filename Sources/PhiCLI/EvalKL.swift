import ArgumentParser
import Phi
import PhiCommandSupport
import PhiEval
import PhiFormat
import PhiJSON

/// `phi eval kl`
struct EvalKL: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kl",
        abstract: "Compare a quantised file's predictions with its base, as llama-perplexity --kl-divergence does.",
        discussion: """
            The base is the same model in f32 or f16, or logits written by --save-logits or another program: float32 or \
            float16 [predictions, vocabulary or more], read row by row. JSON includes quantiles of the divergence, which \
            Tools/plot_eval.py draws.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var text: EvalText

    @Option(help: "The base: a .phi file of the same model.")
    var base: FilePath?

    @Option(help: "The base: its logits in a NumPy file, for the same text and windows.")
    var baseLogits: FilePath?

    @Option(help: "Write the base's logits to a NumPy file, which is replaced if there is one.")
    var saveLogits: FilePath?

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        guard (base == nil) != (baseLogits == nil) else {
            throw ValidationError("Give the base as a model, --base, or as logits, --base-logits.")
        }
        if baseLogits != nil, saveLogits != nil {
            throw ValidationError("--save-logits requires --base.")
        }
    }

    func run() throws {
        let model = try model.open()
        let windows = try text.windows(model)
        let result: Divergence
        do {
            result = try evaluate("kl", model) { try measure(model, on: windows, while: $0) }
        } catch is BaseLogitsFault {
            throw FormatError((base ?? baseLogits)?.description ?? "the base", "has logits that are not finite")
        }
        let report = TextReport(
            model, base: (base ?? baseLogits)?.description, windows, text, result.json, summary: result.summary)
        try Console.write(report, json: json)
    }

    private func measure(
        _ model: LanguageModel, on windows: TextWindows, while shouldContinue: (Double) -> Bool
    ) throws -> Divergence {
        if let baseLogits {
            var reader = try NumPyReader(baseLogits)
            guard reader.rows == windows.scored, reader.columns >= model.config.vocabulary else {
                throw FormatError(
                    baseLogits,
                    "holds \(reader.rows) x \(reader.columns) logits; "
                        + "\(windows.scored) predictions of \(model.config.vocabulary) tokens are required")
            }
            return try Divergence.measure(
                model, against: { try reader.next($0) }, on: windows, threads: text.threads, cache: text.kvCache,
                while: shouldContinue)
        }
        let base = try LanguageModel(ModelOptions.open(base))
        guard base.tokenizer.vocabulary == model.tokenizer.vocabulary else {
            throw FormatError(base.file.path, "has other tokens than \(model.file.path)")
        }
        let writer = try saveLogits.map {
            try NumPyWriter(
                $0, rows: windows.scored, columns: base.config.vocabulary,
                sources: [FilePath(model.file.path), FilePath(base.file.path), text.file])
        }
        let result = try Divergence.measure(
            model, against: base, on: windows, threads: text.threads, cache: text.kvCache,
            onLogits: { try writer?.append($0) }, while: shouldContinue)
        try writer?.commit()
        return result
    }
}

extension Divergence {
    fileprivate var json: JSONObject {
        let fractions = ((0...100).map { Double($0) / 100 } + [0.995, 0.999]).sorted()
        return [
            "mean_kl": mean.value, "mean_kl_error": mean.error,
            "median_kl": quantile(0.5), "kl_90": quantile(0.9), "kl_95": quantile(0.95), "kl_99": quantile(0.99),
            "kl_999": quantile(0.999), "max_kl": quantile(1),
            "kl_quantile_fractions": fractions, "kl_quantiles": fractions.map(quantile),
            "top1_agreement": topAgreement.value, "top1_agreement_error": topAgreement.error,
            "probability_change_mean": probabilityChange.value,
            "probability_change_mean_error": probabilityChange.error,
            "probability_change_rms": probabilityChangeRMS.value,
            "probability_change_rms_error": probabilityChangeRMS.error,
            "perplexity": perplexity.value, "perplexity_error": perplexity.error,
            "base_perplexity": basePerplexity.value, "base_perplexity_error": basePerplexity.error,
            "perplexity_ratio": perplexityRatio.value, "perplexity_ratio_error": perplexityRatio.error,
        ]
    }

    /// The first lines of the report.
    fileprivate var summary: String {
        """
        KL divergence    mean \(mean.shown(6)), median \(quantile(0.5).fixed(6)), 99% \(quantile(0.99).fixed(6)), \
        maximum \(quantile(1).fixed(6))
        same top token   \(topAgreement.percent(3))
        p of the token   mean change \(probabilityChange.percent(3)), root mean square \(probabilityChangeRMS.percent(3))
        perplexity       \(perplexity.shown(6)), base \(basePerplexity.shown(6)), ratio \(perplexityRatio.shown(6))
        """
    }
}
