import Foundation
import Hummingbird
import PhiTokenizer

/// The response of `/tokenize`, with the fields of llama.cpp's and vLLM's.
private struct TokenizeResponse: Encodable {
    let tokens: [TokenID]
    let count: Int
    let max_model_len: Int

    /// Tokenizes the `content` or `prompt` of a body. Throws ``APIError`` when it has neither.
    init(to body: Data, _ model: ServedModel) throws(APIError) {
        let fields = try JSONFields(body, known: ["model", "content", "prompt", "add_special_tokens", "add_special"])
        try model.check(name: fields.value("model", "a string"))
        _ = (try fields.flag("add_special_tokens"), try fields.flag("add_special"))  // the tokenizer adds none
        let content: String? = try fields.value("content", "a string")
        let prompt: String? = try fields.value("prompt", "a string")
        guard let text = content ?? prompt else { throw .invalid("content", "the request has no content") }
        tokens = model.tokenizer.encode(text)
        count = tokens.count
        max_model_len = model.context
    }
}

extension Endpoints {
    /// `POST /tokenize`: the token ids of a text.
    func tokenize(_ request: Request, _ context: PhiRequestContext) async throws -> Response {
        let response = try await parser.parse(request) { [model] body throws(APIError) in
            try TokenizeResponse(to: body, model)
        }
        return .json(response)
    }
}
