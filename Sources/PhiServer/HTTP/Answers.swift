import Foundation
import Hummingbird

extension Response {
    /// A JSON answer.
    static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: JSONLine.bytes(of: value))))
    }

    /// An error in OpenAI's shape.
    static func error(_ error: APIError) -> Response {
        var response = json(error, status: error.status)
        if let seconds = error.retryAfter { response.headers[.retryAfter] = String(seconds) }
        if error.status == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
        return response
    }

    /// A plain answer.
    static func text(_ text: String, type: String, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: type, .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}

/// JSON on one line, its keys sorted so that equal answers are equal bytes.
enum JSONLine {
    static func bytes(of value: some Encodable) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Numbers are checked where they come from; a log-probability that is none is no reason to fail.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        // All types are our own and have nothing that JSON has not.
        return (try? encoder.encode(value)) ?? Data(#"{"error":{"message":"unprintable","type":"server_error"}}"#.utf8)
    }
}

extension ByteBuffer {
    /// An event of a stream as browsers and OpenAI's clients read it.
    static func event(_ value: some Encodable) -> ByteBuffer {
        var buffer = ByteBuffer(string: "data: ")
        buffer.writeBytes(JSONLine.bytes(of: value))
        buffer.writeString("\n\n")
        return buffer
    }

    /// A stream's last event.
    static let lastEvent = ByteBuffer(string: "data: [DONE]\n\n")
}
