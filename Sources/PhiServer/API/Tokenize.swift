import Hummingbird
import PhiJSON

extension Endpoints {
    /// `POST /tokenize`: the token ids of the `content` or `prompt` of a body, with the fields of llama.cpp's and vLLM's.
    func tokenize(_ request: Request, _ context: PhiRequestContext) async throws -> Response {
        let response = try await parser.parse(request) {
            [model, isStrict = limits.isStrict] body throws(APIError) in
            let fields = try JSONFields(body, known: ["model", "content", "prompt", "add_special"], isStrict: isStrict)
            try model.check(name: fields.value("model", "a string"))
            _ = try fields.flag("add_special")  // the tokenizer adds none
            let content: String? = try fields.value("content", "a string")
            let prompt: String? = try fields.value("prompt", "a string")
            guard let text = content ?? prompt else { throw .invalid("content", "the request has no content") }
            let tokens = model.tokenizer.encode(text)
            return ByteBuffer.json(
                [
                    "tokens": tokens, "count": tokens.count, "max_model_len": model.context,
                    "warnings": fields.warnings.isEmpty ? nil : fields.warnings,
                ] as JSONObject)
        }
        return .json(body: response)
    }
}
