import Foundation
import Hummingbird
import NIOCore

/// A thread on which bodies are read and tokenised one after the other: a large one must not hold up the few threads that
/// answer everything else.
struct BodyParser: Sendable {
    private let queue = DispatchQueue(label: "parser")

    func run<Value: Sendable>(_ body: @escaping @Sendable () throws(APIError) -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.async {
                do throws(APIError) {
                    continuation.resume(returning: try body())
                } catch {
                    continuation.resume(throwing: error)
                }
            }
        }
    }
}

extension Request {
    /// The body of a JSON request. Throws ``APIError`` when it is longer than `limit` or not said to be JSON: a page from
    /// elsewhere cannot send JSON from somebody's browser without being asked for permission first.
    func jsonBody(upTo limit: Int) async throws -> Data {
        let type = headers[.contentType]?.split(separator: ";").first?.trimmingCharacters(in: .whitespaces)
        guard type?.lowercased() == "application/json" else {
            throw APIError(
                status: .unsupportedMediaType, type: "invalid_request_error",
                message: "requests need the header Content-Type: application/json", code: "unsupported_media_type")
        }
        let tooLong = APIError(
            status: .contentTooLarge, type: "invalid_request_error", message: "the body is longer than \(limit) bytes",
            code: "body_too_large")
        if let length = headers[.contentLength].flatMap({ Int($0) }), length > limit { throw tooLong }
        do {
            let buffer = try await body.collect(upTo: limit)
            return Data(buffer.readableBytesView)
        } catch is NIOTooManyBytesError {
            throw tooLong
        }
    }
}
