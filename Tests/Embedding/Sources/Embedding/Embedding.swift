import Phi

/// `Embedding MODEL PROMPT TOKENS`: continues a text three times, token by token, at once and by a fork; prints it if all agree.
@main
struct Embedding {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 4, let count = Int(arguments[3]) else {
            return print("usage: Embedding MODEL PROMPT TOKENS")
        }
        do {
            let model = try LanguageModel(contentsOf: arguments[1])
            let options = try GenerationOptions(maximumTokens: count)
            let prompt: [TokenID] = model.tokenizer.encode(arguments[2])

            var text = ""
            for try await token in try AsyncSession(model).tokens(after: prompt, options) { text += token.text }

            let session = try Session(model)
            let whole = try session.complete(prompt, options).text
            let forked = try session.fork(first: prompt.count - 1).complete(prompt, options).text
            print(text == whole && forked == whole ? text : "texts differ")
        } catch let error as FormatError {
            print("cannot use the model: \(error)")
        }
    }
}
