import Foundation
import PhiTokenizer

/// What `/v1/models` says of the model.
struct ModelBody: Encodable {
    let id: String
    let object = "model"
    let created: Int
    let owned_by = "swift-phi"
    /// Positions that a text can have.
    let max_model_len: Int

    init(_ model: ServedModel) {
        id = model.name
        created = model.created
        max_model_len = model.context
    }
}

/// The answer of `/v1/models`.
struct ModelListBody: Encodable {
    let object = "list"
    let data: [ModelBody]
}

/// The answer of `/tokenize`, with the fields that llama.cpp's and vLLM's have.
struct TokenizeBody: Encodable {
    let tokens: [TokenID]
    let count: Int
    let max_model_len: Int

    /// The tokens of a body's `content` or `prompt`. Throws ``APIError`` when there is none.
    init(answering body: Data, _ model: ServedModel) throws(APIError) {
        let fields = try RequestFields.read(
            body, known: ["model", "content", "prompt", "add_special_tokens", "add_special"])
        try model.check(name: fields.value("model", "a string"))
        _ = (try fields.flag("add_special_tokens"), try fields.flag("add_special"))  // there are none to add
        let content: String? = try fields.value("content", "a string")
        let prompt: String? = try fields.value("prompt", "a string")
        guard let text = content ?? prompt else { throw .invalid("content", "the request has no content") }
        tokens = model.tokenizer.encode(text)
        count = tokens.count
        max_model_len = model.context
    }
}

/// The answer of `/detokenize`, under llama.cpp's name and vLLM's.
struct DetokenizeBody: Encodable {
    let content: String
    let prompt: String

    /// The text of a body's `tokens`. Throws ``APIError`` when there are none or one is no token.
    init(answering body: Data, _ model: ServedModel) throws(APIError) {
        let fields = try RequestFields.read(body, known: ["model", "tokens"])
        try model.check(name: fields.value("model", "a string"))
        guard let tokens = try fields.value("tokens", "a list of token ids", as: [TokenID].self) else {
            throw .invalid("tokens", "the request has no tokens")
        }
        for token in tokens where token < 0 || Int(token) >= model.vocabulary {
            throw .invalid("tokens", "\(token) is not a token; ids are 0 to \(model.vocabulary - 1)")
        }
        content = model.tokenizer.decode(tokens)
        prompt = content
    }
}
