import ArgumentParser
import Phi
import PhiEval
import PhiFormat
import PhiCommandSupport

/// `phi eval perplexity`
struct EvalPerplexity: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perplexity",
        abstract: "How surprised a model is by a text, in llama-perplexity's terms.",
        discussion: """
            Windows, tokens that are predicted and the error are llama-perplexity's, so figures compare where the tokens \
            are the same. --stride S with --context C is its --ppl-stride S with -c C - S/2.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var text: EvalText

    @Option(
        help: "Store the logits of every prediction in a NumPy file, float32 [predictions, vocabulary], for eval kl.")
    var saveLogits: String?

    @Option(help: "Draw the perplexity window by window to an SVG file.")
    var picture: String?

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let model = try model.open()
        let windows = try text.windows(model)
        Interrupt.catchSignals()
        let writer = try saveLogits.map {
            try NumPyWriter(path: $0, rows: windows.scored, columns: model.config.vocabulary)
        }
        var bar = ProgressBar("perplexity")
        defer { bar.finish() }
        let result: Perplexity
        do {
            result = try Perplexity.measure(
                model, on: windows, threads: text.threads, cache: text.kvCache, onLogits: { try writer?.append($0) },
                while: {
                    bar.update($0)
                    return !Interrupt.isNoted
                })
        } catch let error as OptionError {
            throw FormatError(model.file.path, error.fault)
        }
        bar.finish()
        try writer?.commit()
        try writePicture(
            Chart(
                title: "Perplexity of \(model.file.path)",
                labels: ("windows of \(windows.context) tokens", "perplexity"),
                curves: [
                    Chart.Curve(
                        model.encoding.name, result.course.enumerated().map { (Double($0 + 1), $1.value) },
                        band: result.course.map(\.error))
                ]), to: picture)
        let report = PerplexityReport(result, model, windows, text)
        try json ? JSONOutput.print(report) : Console.write(report.text)
    }
}

/// What `phi eval perplexity` prints.
private struct PerplexityReport: Encodable {
    let model: String
    let type: String
    let kv_cache: String
    let file: String
    let `protocol`: String
    let tokens: Int
    let windows: Int
    let context: Int
    let stride: Int?
    let scored: Int
    let perplexity: Double
    let perplexity_error: Double
    let loss: Double
    let loss_error: Double

    init(_ result: Perplexity, _ model: LanguageModel, _ windows: TextWindows, _ text: EvalText) {
        self.model = model.file.path
        type = model.encoding.name
        kv_cache = (text.kvCache ?? model.cacheEncoding).rawValue
        file = Console.name(of: text.file)
        `protocol` = windows.protocolName
        tokens = windows.tokens.count
        self.windows = windows.count
        context = windows.context
        stride = windows.stride
        scored = result.scored
        perplexity = result.perplexity.value
        perplexity_error = result.perplexity.error
        loss = result.loss.value
        loss_error = result.loss.error
    }

    var text: String {
        """
        perplexity \(perplexity.fixed(4)) ± \(perplexity_error.fixed(4)) (loss \(loss.fixed(5)) ± \(loss_error.fixed(5)))
        model \(model) (\(type), KV cache \(kv_cache)); text \(file), \(tokens) tokens
        \(windows) \(`protocol`); \(scored) predictions

        """
    }
}
