import ArgumentParser
import Phi
import PhiCommandSupport
import PhiEval
import PhiFormat

/// `phi eval perplexity`
struct EvalPerplexity: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perplexity",
        abstract: "Measure a model's perplexity on a text, as llama-perplexity does.",
        discussion: """
            Windows, predicted tokens and the error are llama-perplexity's, so figures are comparable where the tokenizers \
            agree. --stride S with --context C is its --ppl-stride S with -c C - S/2. JSON includes the perplexity up to \
            each window, which Tools/plot_eval.py draws.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var text: EvalText

    @Option(
        help: "Write the logits of every prediction to a NumPy file, float32 [predictions, vocabulary], for eval kl.")
    var saveLogits: String?

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let model = try model.open()
        let windows = try text.windows(model)
        let writer = try saveLogits.map {
            try NumPyWriter(path: $0, rows: windows.scored, columns: model.config.vocabulary)
        }
        let result = try withProgress("perplexity", model) { shouldContinue in
            try Perplexity.measure(
                model, on: windows, threads: text.threads, cache: text.kvCache, onLogits: { try writer?.append($0) },
                while: shouldContinue)
        }
        try writer?.commit()
        let summary = "perplexity \(result.perplexity.shown(4)) (loss \(result.loss.shown(5)))"
        try Console.write(TextReport(model, windows, text, Results(result), summary: summary), json: json)
    }

    private struct Results: Encodable {
        let perplexity: Double
        let perplexity_error: Double
        let loss: Double
        let loss_error: Double
        /// Up to each window.
        let perplexity_by_window: [Double]
        let perplexity_by_window_error: [Double]

        init(_ result: Perplexity) {
            (perplexity, perplexity_error) = (result.perplexity.value, result.perplexity.error)
            (loss, loss_error) = (result.loss.value, result.loss.error)
            perplexity_by_window = result.course.map(\.value)
            perplexity_by_window_error = result.course.map(\.error)
        }
    }
}
