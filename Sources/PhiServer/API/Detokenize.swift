import Hummingbird
import PhiJSON
import PhiTokenizer

extension Endpoints {
    /// `POST /detokenize`: the text of the `tokens` of a body, under llama.cpp's name and vLLM's.
    func detokenize(_ request: Request, _ context: PhiRequestContext) async throws -> Response {
        let response = try await parser.parse(request) {
            [model, isStrict = limits.isStrict] body throws(APIError) in
            let fields = try JSONFields(body, known: ["model", "tokens"], isStrict: isStrict)
            try model.check(name: fields.value("model", "a string"))
            guard let tokens = try fields.value("tokens", "a list of token ids", as: [TokenID].self) else {
                throw .invalid("tokens", "the request has no tokens")
            }
            try model.check(tokens: tokens, of: "tokens")
            let text = model.tokenizer.decode(tokens)
            return ByteBuffer.json(
                [
                    "content": text, "prompt": text, "warnings": fields.warnings.isEmpty ? nil : fields.warnings,
                ] as JSONObject)
        }
        return .json(body: response)
    }
}
