import ArgumentParser
import Phi
import PhiCommandSupport
import PhiEval
import PhiFormat
import PhiJSON

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
        help: """
            Write the logits of every prediction to a NumPy file, which is replaced if there is one: float32 \
            [predictions, vocabulary], for eval kl.
            """)
    var saveLogits: FilePath?

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let model = try model.open()
        let windows = try text.windows(model)
        let writer = try saveLogits.map {
            try NumPyWriter(
                $0, rows: windows.scored, columns: model.config.vocabulary,
                sources: [FilePath(model.file.path), text.file])
        }
        let result = try evaluate("perplexity", model) { shouldContinue in
            try Perplexity.measure(
                model, on: windows, threads: text.threads, cache: text.kvCache, onLogits: { try writer?.append($0) },
                while: shouldContinue)
        }
        try writer?.commit()
        let summary = "perplexity \(result.perplexity.shown(4)) (loss \(result.loss.shown(5)))"
        try Console.write(TextReport(model, windows, text, result.json, summary: summary), json: json)
    }
}

extension Perplexity {
    fileprivate var json: JSONObject {
        [
            "perplexity": perplexity.value, "perplexity_error": perplexity.error,
            "loss": loss.value, "loss_error": loss.error,
            // Up to each window.
            "perplexity_by_window": course.map(\.value), "perplexity_by_window_error": course.map(\.error),
        ]
    }
}
