import Phi
import PhiJSON
import PhiTokenizer

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The properties of the served model that requests are checked against and responses report.
struct ServedModel: Sendable {
    /// The name in requests and responses.
    let name: String
    /// Length of the context in tokens.
    let context: Int
    let vocabulary: Int
    let startOfText: TokenID
    let endOfText: TokenID
    let tokenizer: Tokenizer
    /// Identifies the model file, the version, the KV cache's encoding and the context: servers with equal fingerprints answer the
    /// same request and seed alike, on any machine.
    let fingerprint: String
    /// When the server started, in seconds since 1970.
    let created = Int(Date().timeIntervalSince1970)
    /// Its sizes in llama-server's names.
    let meta: JSONObject
    /// Bytes of the vocabulary's longest token.
    private let longestToken: Int

    init(_ model: LanguageModel, name: String, context: Int, cache: CacheEncoding) {
        self.name = name
        self.context = context
        vocabulary = model.config.vocabulary
        startOfText = model.textBounds.start
        endOfText = model.textBounds.ends.first ?? startOfText
        tokenizer = model.tokenizer
        meta = [
            "n_vocab": model.config.vocabulary, "n_ctx": context, "n_ctx_train": model.config.context,
            "n_embd": model.config.hiddenSize, "size": model.file.mapping.count,
        ]
        fingerprint = "phi-\(swiftPhiVersion)-\(model.file.digest.description.prefix(16))-\(cache)-\(context)"
        let starts = model.tokenizer.vocabulary.starts
        longestToken = zip(starts.dropFirst(), starts).reduce(1) { max($0, Int($1.0 - $1.1)) }
    }

    /// Throws ``APIError`` when a request asks for another model.
    func check(name asked: String?) throws(APIError) {
        guard let asked, asked != name else { return }
        throw APIError(
            status: .notFound, type: "invalid_request_error", message: "this server has the model \(name) only",
            param: "model", code: "model_not_found")
    }

    /// Throws ``APIError`` about `field` when one of `tokens` is not in the vocabulary.
    func check(tokens: some Sequence<TokenID>, of field: String) throws(APIError) {
        for token in tokens where token < 0 || Int(token) >= vocabulary {
            throw .invalid(field, "\(token) is not a token; ids are 0 to \(vocabulary - 1)")
        }
    }

    /// The tokens of prompts. Throws ``APIError`` when one does not fit the context or has an id that is not in the vocabulary.
    func tokens(of prompts: PromptField) throws(APIError) -> [[TokenID]] {
        var all: [[TokenID]] = []
        switch prompts {
        case .texts(let texts):
            for text in texts {
                // Refused before tokenization, which would take long for megabytes that cannot fit.
                let least = text.utf8.count / longestToken
                guard least <= context else { throw tooLong("at least \(least)") }
                all.append(tokenizer.encode(text))
            }
        case .tokens(let lists):
            try check(tokens: lists.joined(), of: "prompt")
            all = lists
        }
        if let long = all.first(where: { $0.count > context }) { throw tooLong("\(long.count)") }
        return all
    }

    private func tooLong(_ count: String) -> APIError {
        .invalid(
            "prompt", "this model's maximum context length is \(context) tokens; the prompt has \(count)",
            code: "context_length_exceeded")
    }

    /// The text of one token, or `bytes:\xE2\x82` when its bytes are not valid UTF-8.
    func text(of token: TokenID) -> String {
        let bytes = tokenizer.vocabulary.bytes(of: token)
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        return "bytes:" + bytes.map { "\\x" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
