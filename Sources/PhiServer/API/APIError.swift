import HTTPTypes
import NIOHTTP1
import Phi

/// An error response in the shape that OpenAI's clients parse.
package struct APIError: Error, Equatable {
    let status: HTTPResponse.Status
    /// The kind of error, for programs: `invalid_request_error`, `authentication_error`, `server_error`...
    let type: String
    /// The fault in one sentence, for people.
    let message: String
    /// The field of the request that is at fault.
    var param: String?
    /// The exact error, for programs.
    package var code: String?
    /// Headers that go with the status.
    var headers: HTTPFields = [:]

    /// A field with a value that is not accepted.
    static func invalid(_ param: String?, _ message: String, code: String? = nil) -> APIError {
        APIError(status: .badRequest, type: "invalid_request_error", message: message, param: param, code: code)
    }

    /// The queue is full; a retry after that many seconds may succeed.
    static func queueIsFull(retryAfter seconds: Int) -> APIError {
        APIError(
            status: .tooManyRequests, type: "rate_limit_error",
            message: "too many requests are waiting; try again in \(seconds) s", code: "queue_full",
            headers: [.retryAfter: "\(seconds)"])
    }

    /// The request exceeded the time limit.
    static let timedOut = APIError(
        status: .serviceUnavailable, type: "server_error", message: "the request took longer than this server allows",
        code: "timeout")

    /// The server is shutting down.
    static let shuttingDown = APIError(
        status: .serviceUnavailable, type: "server_error", message: "the server is shutting down",
        code: "shutting_down", headers: [.retryAfter: "1"])

    /// The engine failed, or the request asks for a text that no tokens make, which another attempt would not change.
    static func cannotCompute(_ error: SessionError) -> APIError {
        let message = "the request cannot be computed: \(error)"
        return error == .noTokenFits
            ? .invalid(nil, message, code: "no_token_fits")
            : APIError(
                status: .serviceUnavailable, type: "server_error", message: message, code: "engine",
                headers: [.retryAfter: "1"])
    }

    /// The client closed the connection. The status, which is nginx's, appears only in the log.
    static let clientHasGone = APIError(
        status: .init(code: 499, reasonPhrase: "Client Closed Request"), type: "cancelled",
        message: "the client closed the connection")

    /// The body's type or encoding is not accepted.
    static func unsupportedMedia(_ message: String) -> APIError {
        APIError(
            status: .unsupportedMediaType, type: "invalid_request_error", message: message,
            code: "unsupported_media_type", headers: [.acceptEncoding: "identity"])
    }

    /// The request cannot be parsed.
    static func notHTTP(_ error: HTTPParserError) -> APIError {
        let isTooLarge = error == .headerOverflow
        return APIError(
            status: isTooLarge ? .requestHeaderFieldsTooLarge : .badRequest, type: "invalid_request_error",
            message: isTooLarge ? "the request's headers are too long" : "the request is not valid HTTP: \(error)",
            code: isTooLarge ? "headers_too_large" : "invalid_http")
    }

    /// The body takes too long to arrive.
    static let bodyTooSlow = APIError(
        status: .requestTimeout, type: "invalid_request_error", message: "the body did not arrive in time",
        code: "body_timeout")

    /// An HTTP/1.1 request must have one valid Host.
    static let noHost = APIError(
        status: .badRequest, type: "invalid_request_error", message: "the request needs one valid header Host",
        code: "invalid_host")

    /// The Host is not allowed.
    static let wrongHost = APIError(
        status: .forbidden, type: "invalid_request_error",
        message: "the header Host has a name that is not this server's; phi-server --allow-host NAME allows it",
        code: "host_not_allowed")

    /// No endpoint has this path.
    static let notFound = APIError(
        status: .notFound, type: "invalid_request_error", message: "no endpoint has this path", code: "not_found")

    /// The path has other methods.
    static func wrongMethod(allowed: [HTTPRequest.Method]) -> APIError {
        APIError(
            status: .methodNotAllowed, type: "invalid_request_error", message: "this path does not have this method",
            code: "method_not_allowed", headers: [.allow: allowed.map(\.rawValue).joined(separator: ", ")])
    }

    /// The API key is missing or unknown.
    static let wrongKey = APIError(
        status: .unauthorized, type: "authentication_error",
        message: "this server requires a valid API key: Authorization: Bearer KEY", code: "invalid_api_key",
        headers: [.wwwAuthenticate: "Bearer"])

    /// Phi models are not trained for chat.
    static let noChat = APIError(
        status: .notFound, type: "invalid_request_error",
        message: "phi models continue code and are not chat models; send the beginning of a program to /v1/completions",
        param: "model", code: "not_a_chat_model")

    /// Phi models are not trained to fill in the middle.
    static let noInfill = APIError(
        status: .notImplemented, type: "not_supported_error",
        message: "phi models are not trained to fill in text; send what stands before it to /completion",
        code: "infill_not_supported")

    /// A fault of the server itself, described in its log only.
    static let internalError = APIError(
        status: .internalServerError, type: "server_error", message: "internal error; see the server's log")
}

extension APIError: Encodable {
    private enum Outer: String, CodingKey { case error }
    private enum Inner: String, CodingKey { case message, type, param, code }

    package func encode(to encoder: any Encoder) throws {
        var outer = encoder.container(keyedBy: Outer.self)
        var inner = outer.nestedContainer(keyedBy: Inner.self, forKey: .error)
        try inner.encode(message, forKey: .message)
        try inner.encode(type, forKey: .type)
        try inner.encode(param, forKey: .param)
        try inner.encode(code, forKey: .code)
    }
}
