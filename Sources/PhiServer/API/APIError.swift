import HTTPTypes

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

    /// The engine failed.
    static func cannotCompute(_ fault: String) -> APIError {
        APIError(
            status: .serviceUnavailable, type: "server_error", message: "the request cannot be computed: \(fault)",
            code: "engine", headers: [.retryAfter: "1"])
    }

    /// The client closed the connection. The status, which is nginx's, appears only in the log.
    static let clientHasGone = APIError(
        status: .init(code: 499, reasonPhrase: "Client Closed Request"), type: "cancelled",
        message: "the client closed the connection")

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
