import Hummingbird
import PhiJSON
import PhiTokenizer

extension Endpoints {
    /// `POST /tokenize`: the token ids of the `content` or `prompt` of a body, with the fields of llama.cpp's and vLLM's.
    func tokenize(_ request: Request, _ context: PhiRequestContext) async throws -> Response {
        let response = try await parser.parse(request) {
            [model, isStrict = limits.isStrict] body throws(APIError) in
            let known: Set = ["model", "content", "prompt", "add_special", "parse_special", "with_pieces"]
            let fields = try JSONFields(body, known: known, isStrict: isStrict)
            try model.check(name: fields.value("model", "a string"))
            _ = try fields.flag("add_special")  // the tokenizer adds none
            _ = try fields.flag("parse_special")  // always
            let hasPieces = try fields.flag("with_pieces")
            let content: String? = try fields.value("content", "a string")
            let prompt: String? = try fields.value("prompt", "a string")
            guard let text = content ?? prompt else { throw .invalid("content", "the request has no content") }
            let tokens = model.tokenizer.encode(text)
            /// The id and the text of a token, its bytes where they are no text, as llama-server has them.
            func piece(_ token: TokenID) -> JSONObject {
                let bytes = Array(model.tokenizer.vocabulary.bytes(of: token))
                let text = String(validating: bytes, as: UTF8.self)
                let piece: any Encodable & Sendable = if let text { text } else { bytes.map(Int.init) }
                return ["id": token, "piece": piece]
            }
            var response = ByteBuffer(string: #"{"tokens":"#)
            if hasPieces {
                response.writeJSONArray(tokens.count, atOnce: 1000) { piece(tokens[$0]) }
            } else {
                response.writeJSONArray(tokens.count, atOnce: 1000) { tokens[$0] }
            }
            var rest = ByteBuffer.json(
                [
                    "count": tokens.count, "max_model_len": model.context,
                    "warnings": fields.warnings.isEmpty ? nil : fields.warnings,
                ] as JSONObject)
            response.writeString(",")
            rest.moveReaderIndex(forwardBy: 1)
            response.writeBuffer(&rest)
            return response
        }
        return .json(body: response)
    }
}
