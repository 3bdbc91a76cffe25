import ArgumentParser
import Phi
import PhiFormat
import PhiCommandSupport
import PhiEval
import PhiTokenizer

/// `phi logits`
struct Logits: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write the logits after each of the given tokens to a NumPy file.",
        discussion: "The array is float32 [tokens, vocabulary].")

    @OptionGroup var model: ModelOptions
    @OptionGroup var session: SessionOptions

    @Option(help: "A JSON array of token ids; - for standard input.")
    var ids: FilePath

    @Option(name: [.short, .long], help: "The .npy file to write, which is replaced if there is one.")
    var output: FilePath

    @Flag(help: "Decode one token at a time instead of in batches. The result is the same, bit for bit.")
    var oneByOne = false

    func run() throws {
        let model = try model.open()
        let source = Console.name(of: ids)
        let tokens = try TokenIDs.parse(
            Console.read(ids, limit: 1 << 26), from: source, vocabulary: model.config.vocabulary)
        let session = try session.session(model)
        guard tokens.count <= session.context else {
            throw FormatError(source, "\(SessionError.doesNotFit(tokens.count, limit: session.context))")
        }
        Interrupt.catchSignals()
        let writer = try NumPyWriter(
            output, rows: tokens.count, columns: model.config.vocabulary, sources: [FilePath(model.file.path), ids])
        if oneByOne {
            for token in tokens {
                if Interrupt.isNoted { throw CancellationError() }
                try session.append(token)
                try session.withLogits { logits in Result { try writer.append(logits) } }?.get()
            }
        } else {
            for first in stride(from: 0, to: tokens.count, by: Engine.batchTokens) {
                if Interrupt.isNoted { throw CancellationError() }
                let batch = tokens[first..<min(first + Engine.batchTokens, tokens.count)]
                try session.forEachLogits(appending: batch) { _, logits in try writer.append(logits) }
            }
        }
        try writer.commit()
    }
}
