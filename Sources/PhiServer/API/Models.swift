import Hummingbird
import PhiJSON

extension ServedModel {
    /// The description in responses of `/v1/models`.
    fileprivate var description: JSONObject {
        [
            "id": name, "object": "model", "created": created, "owned_by": "swift-phi",
            "root": name, "max_model_len": context,  // vLLM's names
            "meta": meta,  // llama-server's
        ]
    }
}

extension Endpoints {
    /// `GET /v1/models`: the list of the one model.
    func models(_ request: Request, _ context: PhiRequestContext) -> Response {
        .json(["object": "list", "data": [model.description]] as JSONObject)
    }

    /// `GET /v1/models/NAME`: the model, if it has that name, which may contain slashes.
    func modelByName(_ request: Request, _ context: PhiRequestContext) throws -> Response {
        let name = context.parameters.getCatchAll().joined(separator: "/")
        guard let decoded = Self.percentDecoded(name) else { throw APIError.notFound }
        try model.check(name: decoded)
        return .json(model.description)
    }

    /// A part of a URL with its bytes written as `%20` decoded; nil when it is malformed.
    private static func percentDecoded(_ text: String) -> String? {
        var bytes: [UInt8] = [], remaining = Substring(text).utf8
        while let byte = remaining.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = String(decoding: remaining.prefix(2), as: UTF8.self)
            guard digits.count == 2, digits.allSatisfy(\.isHexDigit), let value = UInt8(digits, radix: 16) else {
                return nil
            }
            bytes.append(value)
            remaining = remaining.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
