import Hummingbird
import PhiTokenizer

extension Endpoints {
    /// `POST /detokenize`: the text of the `tokens` of a body, under llama.cpp's name and vLLM's.
    func detokenize(_ request: Request, _ context: PhiRequestContext) async throws -> Response {
        let text = try await parser.parse(request) { [model] body throws(APIError) in
            let fields = try JSONFields(body, known: ["model", "tokens"])
            try model.check(name: fields.value("model", "a string"))
            guard let tokens = try fields.value("tokens", "a list of token ids", as: [TokenID].self) else {
                throw .invalid("tokens", "the request has no tokens")
            }
            try model.check(tokens: tokens, of: "tokens")
            return model.tokenizer.decode(tokens)
        }
        return .json(["content": text, "prompt": text])
    }
}
