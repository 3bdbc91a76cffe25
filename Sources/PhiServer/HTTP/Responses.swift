import Hummingbird

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

extension Response {
    /// A JSON response.
    static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
        json(body: .json(value), status: status)
    }

    /// A response whose `body` is JSON.
    static func json(body: ByteBuffer, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: body))
    }

    /// An error response in OpenAI's shape.
    static func error(_ error: APIError) -> Response {
        var response = json(error, status: error.status)
        response.headers.append(contentsOf: error.headers)
        return response
    }
}

/// JSON on one line with sorted keys, so that equal values are equal bytes.
private enum JSONLine {
    static func bytes(of value: some Encodable) -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Requests' numbers are checked when they are parsed; a log-probability that is not finite is no reason to fail.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        // The encoded types are this module's, and JSON can represent all of them.
        return (try? encoder.encode(value)) ?? Data(#"{"error":{"message":"unprintable","type":"server_error"}}"#.utf8)
    }
}

extension ByteBuffer {
    /// JSON on one line.
    static func json(_ value: some Encodable) -> ByteBuffer { ByteBuffer(bytes: JSONLine.bytes(of: value)) }

    /// Appends a JSON array of `count` elements. `atOnce` of them are encoded at a time, since an encoder takes many times the memory of
    /// what it makes.
    mutating func writeJSONArray(_ count: Int, atOnce: Int = 1, _ element: (Int) -> some Encodable) {
        writeString("[")
        for first in stride(from: 0, to: count, by: atOnce) {
            if first > 0 { writeString(",") }
            let elements = JSONLine.bytes(of: (first..<min(first + atOnce, count)).map(element))
            writeBytes(elements.dropFirst().dropLast())
        }
        writeString("]")
    }

    /// A server-sent event.
    static func event(_ value: some Encodable) -> ByteBuffer {
        var buffer = ByteBuffer(string: "data: ")
        buffer.writeBytes(JSONLine.bytes(of: value))
        buffer.writeString("\n\n")
        return buffer
    }

    /// The last event of a stream.
    static let lastEvent = ByteBuffer(string: "data: [DONE]\n\n")
}
