import ArgumentParser
import Phi
import PhiEval
import PhiFormat
import PhiCommandSupport

/// `phi eval kl`
struct EvalKL: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kl",
        abstract: "What a quantised file's predictions lose, in the terms of llama-perplexity --kl-divergence.",
        discussion: """
            The base is the same model in f32 or f16, or logits stored by --save-logits or by another program: float32 or \
            float16 [predictions, vocabulary or more]. They are read row by row, never as a whole.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var text: EvalText

    @Option(help: "The base: a .phi file of the same model.")
    var base: String?

    @Option(help: "The base: its logits in a NumPy file, of the same text read in the same windows.")
    var baseLogits: String?

    @Option(help: "Store the base's logits in a NumPy file.")
    var saveLogits: String?

    @Option(help: "Draw how the divergence is spread to an SVG file.")
    var picture: String?

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        guard (base == nil) != (baseLogits == nil) else {
            throw ValidationError("Give the base as a model, --base, or as logits, --base-logits.")
        }
        if baseLogits != nil, saveLogits != nil {
            throw ValidationError("--save-logits goes with --base.")
        }
    }

    func run() throws {
        let model = try model.open()
        let windows = try text.windows(model)
        Interrupt.catchSignals()
        var bar = ProgressBar("kl")
        defer { bar.finish() }
        let result: Divergence
        do {
            result = try measure(model, on: windows) {
                bar.update($0)
                return !Interrupt.isNoted
            }
        } catch let error as OptionError {
            throw FormatError(model.file.path, error.fault)
        }
        bar.finish()
        try writePicture(chart(of: result, model), to: picture)
        let report = DivergenceReport(result, model, base ?? baseLogits ?? "", windows, text)
        try json ? JSONOutput.print(report) : Console.write(report.text)
    }

    private func measure(
        _ model: LanguageModel, on windows: TextWindows, while shouldContinue: (Double) -> Bool
    ) throws -> Divergence {
        if let baseLogits {
            var reader = try NumPyReader(path: baseLogits)
            guard reader.rows == windows.scored, reader.columns >= model.config.vocabulary else {
                throw FormatError(
                    baseLogits,
                    "holds \(reader.rows) x \(reader.columns) logits; "
                        + "\(windows.scored) predictions of \(model.config.vocabulary) tokens are wanted")
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
            try NumPyWriter(path: $0, rows: windows.scored, columns: base.config.vocabulary)
        }
        let result = try Divergence.measure(
            model, against: base, on: windows, threads: text.threads, cache: text.kvCache,
            onLogits: { try writer?.append($0) }, while: shouldContinue)
        try writer?.commit()
        return result
    }

    private func chart(of result: Divergence, _ model: LanguageModel) -> Chart {
        let shares = Array(stride(from: 0, through: 100, by: 1)) + [99.5, 99.9]
        return Chart(
            title: "KL divergence of \(model.file.path) from the base: mean \(result.mean.value.fixed(6))",
            labels: ("share of predictions, per cent", "divergence at most, nats"),
            curves: [
                Chart.Curve(model.encoding.name, shares.sorted().map { ($0, result.quantile($0 / 100)) }),
                Chart.Curve("mean", [(0, result.mean.value), (100, result.mean.value)]),
            ], isLogarithmic: true)
    }
}

/// What `phi eval kl` prints.
private struct DivergenceReport: Encodable {
    let model: String
    let type: String
    let kv_cache: String
    let base: String
    let file: String
    let `protocol`: String
    let tokens: Int
    let windows: Int
    let context: Int
    let stride: Int?
    let scored: Int
    let mean_kl: Double
    let mean_kl_error: Double
    let median_kl: Double
    let kl_90: Double
    let kl_95: Double
    let kl_99: Double
    let kl_999: Double
    let max_kl: Double
    let top1_agreement: Double
    let top1_agreement_error: Double
    let probability_change_mean: Double
    let probability_change_mean_error: Double
    let probability_change_rms: Double
    let probability_change_rms_error: Double
    let perplexity: Double
    let perplexity_error: Double
    let base_perplexity: Double
    let base_perplexity_error: Double
    let perplexity_ratio: Double
    let perplexity_ratio_error: Double

    init(_ result: Divergence, _ model: LanguageModel, _ base: String, _ windows: TextWindows, _ text: EvalText) {
        self.model = model.file.path
        type = model.encoding.name
        kv_cache = (text.kvCache ?? model.cacheEncoding).rawValue
        self.base = base
        file = Console.name(of: text.file)
        `protocol` = windows.protocolName
        tokens = windows.tokens.count
        self.windows = windows.count
        context = windows.context
        stride = windows.stride
        scored = result.scored
        (mean_kl, mean_kl_error) = result.mean.pair
        median_kl = result.quantile(0.5)
        kl_90 = result.quantile(0.9)
        kl_95 = result.quantile(0.95)
        kl_99 = result.quantile(0.99)
        kl_999 = result.quantile(0.999)
        max_kl = result.quantile(1)
        (top1_agreement, top1_agreement_error) = result.topAgreement.pair
        (probability_change_mean, probability_change_mean_error) = result.probabilityChange.pair
        (probability_change_rms, probability_change_rms_error) = result.probabilityChangeRMS.pair
        (perplexity, perplexity_error) = result.perplexity.pair
        (base_perplexity, base_perplexity_error) = result.basePerplexity.pair
        (perplexity_ratio, perplexity_ratio_error) = result.perplexityRatio.pair
    }

    var text: String {
        func percent(_ value: Double, _ error: Double) -> String {
            Estimate(value: 100 * value, error: 100 * error).shown(3) + " %"
        }
        func plain(_ value: Double, _ error: Double) -> String { Estimate(value: value, error: error).shown(6) }
        return """
            KL divergence    mean \(plain(mean_kl, mean_kl_error)), median \(median_kl.fixed(6)), \
            99% \(kl_99.fixed(6)), maximum \(max_kl.fixed(6))
            same top token   \(percent(top1_agreement, top1_agreement_error))
            p of the token   mean change \(percent(probability_change_mean, probability_change_mean_error)), \
            root mean square \(percent(probability_change_rms, probability_change_rms_error))
            perplexity       \(plain(perplexity, perplexity_error)), base \(plain(base_perplexity, base_perplexity_error)), \
            ratio \(plain(perplexity_ratio, perplexity_ratio_error))
            model \(model) (\(type), KV cache \(kv_cache)), base \(base); text \(file), \(tokens) tokens
            \(windows) \(`protocol`); \(scored) predictions

            """
    }
}

extension Estimate {
    fileprivate var pair: (Double, Double) { (value, error) }
}
