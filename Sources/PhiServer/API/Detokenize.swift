import Foundation
import Hummingbird
import PhiTokenizer

/// The response of `/detokenize`: the text, under llama.cpp's name and vLLM's.
private struct DetokenizeResponse: Encodable {
    let content: String
    let prompt: String

    /// Decodes the `tokens` of a body. Throws ``APIError`` when there are none or one is not in the vocabulary.
    init(to body: Data, _ model: ServedModel) throws(APIError) {
        let fields = try JSONFields(body, known: ["model", "tokens"])
        try model.check(name: fields.value("model", "a string"))
        guard let tokens = try fields.value("tokens", "a list of token ids", as: [TokenID].self) else {
            throw .invalid("tokens", "the request has no tokens")
        }
        try model.check(tokens: tokens, of: "tokens")
        content = model.tokenizer.decode(tokens)
        prompt = content
    }
}

extension Endpoints {
    /// `POST /detokenize`: the text of token ids.
    func detokenize(_ request: Request, _ context: PhiRequestContext) async throws -> Response {
        let response = try await parser.parse(request) { [model] body throws(APIError) in
            try DetokenizeResponse(to: body, model)
        }
        return .json(response)
    }
}
