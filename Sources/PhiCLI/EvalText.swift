import ArgumentParser
import Phi
import PhiEval
import PhiFormat
import PhiCommandSupport

/// The text that a model is measured on, and how it is read.
struct EvalText: ParsableArguments {
    @Option(name: [.customShort("f"), .long], help: "The text, a UTF-8 file; - for standard input.")
    var file: String

    @Option(
        name: [.customShort("c"), .long],
        help: "Tokens of a window. Without it, 512, or the model's context if smaller.")
    var context: Int?

    @Option(
        help: """
            Start a window every so many tokens and predict as many at its end, instead of the second half of windows \
            that follow each other.
            """)
    var stride: Int?

    @Option(help: "Windows to read at most.")
    var chunks: Int?

    @Option(
        help: ArgumentHelp(
            "How the model under test keeps keys and values: f32, f16 or q8. Without it, as suits the model.",
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

    /// Reads the text and cuts it for `model`. Like llama-perplexity, special tokens are not found in it and one newline at
    /// its end does not count.
    func windows(_ model: LanguageModel) throws -> TextWindows {
        var bytes = try Console.read(file)
        if bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        let tokens = model.tokenizer.encode(bytes: bytes, specialTokens: false)
        let limit = model.config.context
        if let context, context > limit { throw SessionError.contextOutOfRange(context, limit: limit) }
        do {
            return try TextWindows(tokens, context: context ?? min(512, limit), stride: stride, limit: chunks)
        } catch {
            throw FormatError(Console.name(of: file), error.fault)
        }
    }
}

/// Writes a picture to `path`, if there is one.
func writePicture(_ chart: @autoclosure () -> Chart, to path: String?) throws {
    guard let path else { return }
    let file = try AtomicFile(path: path, overwrite: true)
    try file.append(Array(chart().svg.utf8))
    try file.commit()
}

extension Estimate {
    /// `value ± error` with so many digits after the point.
    func shown(_ digits: Int) -> String { "\(value.fixed(digits)) ± \(error.fixed(digits))" }
}
