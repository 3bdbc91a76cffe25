import ArgumentParser
import Phi
import PhiEval
import PhiFormat
import PhiCommandSupport
import PhiJSON

/// The options of an evaluation on a text.
struct EvalText: ParsableArguments {
    @Option(name: [.customShort("f"), .long], help: "The text, a UTF-8 file; - for standard input.")
    var file: FilePath

    @Option(
        name: [.customShort("c"), .long],
        help: "Tokens of a window. Without it, 512, or the model's context if smaller.")
    var context: Int?

    @Option(
        help: """
            Tokens from one window's start to the next, and predicted at the end of each. Without it, windows are adjacent \
            and the second half of each is predicted.
            """)
    var stride: Int?

    @Option(help: "Largest number of windows.")
    var chunks: Int?

    @Option(
        help: ArgumentHelp(
            "Encoding of the evaluated model's KV cache: f32, f16 or q8. Without it, the model's default.",
            valueName: "type"))
    var kvCache: CacheEncoding?

    @Option(name: [.customShort("t"), .long], help: "Threads to compute on. Without it, one for each core.")
    var threads: Int?

    func validate() throws {
        if let context, context < 4 { throw ValidationError("--context takes 4 or more.") }
        if let stride, stride < 1 { throw ValidationError("--stride takes 1 or more.") }
        if let chunks, chunks < 1 { throw ValidationError("--chunks takes 1 or more.") }
        if let threads { try ThreadCounts.validate([threads], of: "--threads") }
    }

    /// Reads the text and cuts it into windows for `model`. As in llama-perplexity, special tokens are not recognised and one
    /// newline at the end is dropped.
    func windows(_ model: LanguageModel) throws -> TextWindows {
        ThreadCounts.start(threads)
        var bytes = try Console.read(file)
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        let tokens = model.tokenizer.encode(bytes: bytes, specialTokens: false)
        let limit = model.config.context
        try model.checkContext(context)
        do {
            return try TextWindows(tokens, context: context ?? min(512, limit), stride: stride, limit: chunks)
        } catch {
            throw FormatError(Console.name(of: file), error.fault)
        }
    }
}

/// Runs `measure` with a progress bar until a signal arrives. Faults of the model are reported with its file.
func evaluate<Result>(
    _ label: String, _ model: LanguageModel, _ measure: ((Double) -> Bool) throws -> Result
) throws -> Result {
    Interrupt.catchSignals()
    do {
        return try withProgress(label, measure)
    } catch let error as OptionError {
        throw FormatError(model.file.path, error.fault)
    }
}

/// Runs `measure` for each of `items`, as ``evaluate(_:_:_:)`` does.
func evaluate<Item, Result>(
    _ label: String, _ model: LanguageModel, each items: [Item], _ measure: (Item) throws -> Result
) throws -> [Result] {
    try evaluate(label, model) { shouldContinue in
        try items.enumerated().map { index, item in
            guard shouldContinue(Double(index) / Double(items.count)) else { throw CancellationError() }
            return try measure(item)
        }
    }
}

extension LanguageModel {
    /// The model in a report's text, with the KV cache that it had.
    func shown(_ cache: CacheEncoding) -> String { "model \(file.path) (\(encoding.name), KV cache \(cache.rawValue))" }

    /// The same as fields of a report.
    func fields(_ cache: CacheEncoding) -> JSONObject {
        ["model": file.path, "type": encoding.name, "kv_cache": cache.rawValue]
    }
}

/// The report of an evaluation on a text: how it was made, and its results.
struct TextReport: Report {
    let text: String
    let json: JSONObject

    /// A report whose text begins with `summary`; `base` names the base of a quantised model.
    init(
        _ model: LanguageModel, base: String? = nil, _ windows: TextWindows, _ options: EvalText, _ results: JSONObject,
        summary: String
    ) {
        let cache = options.kvCache ?? model.cacheEncoding
        let file = Console.name(of: options.file)
        text = """
            \(summary)
            \(model.shown(cache))\(base.map { ", base \($0)" } ?? ""); \
            text \(file), \(windows.tokens.count) tokens
            \(windows.count) \(windows.protocolName); \(windows.scored) predictions

            """
        json =
            model.fields(cache) + [
                "file": file, "protocol": windows.protocolName, "tokens": windows.tokens.count,
                "windows": windows.count, "context": windows.context, "stride": windows.stride,
                "scored": windows.scored, "base": base,
            ] + results
    }
}

extension Estimate {
    /// `value ± error` with this many digits after the point.
    func shown(_ digits: Int) -> String {
        value.fixed(digits) + (error.isFinite ? " ± \(error.fixed(digits))" : "")
    }

    /// The same of a share in percent.
    func percent(_ digits: Int) -> String { Estimate(value: 100 * value, error: 100 * error).shown(digits) + " %" }
}
