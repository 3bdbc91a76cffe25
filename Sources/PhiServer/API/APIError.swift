import HTTPTypes

/// What goes wrong with a request, in the shape that OpenAI's clients know.
struct APIError: Error, Equatable {
    let status: HTTPResponse.Status
    /// What kind of error it is, for programs: `invalid_request_error`, `authentication_error`, `server_error`...
    let type: String
    /// What is wrong, for people.
    let message: String
    /// The field of the request that it is about.
    var param: String?
    /// A name for this very error, for programs.
    var code: String?
    /// Seconds after which it is worth another try.
    var retryAfter: Int?

    /// A field that cannot be taken as it is.
    static func invalid(_ param: String?, _ message: String, code: String? = nil) -> APIError {
        APIError(status: .badRequest, type: "invalid_request_error", message: message, param: param, code: code)
    }

    /// The queue is full.
    static func queueIsFull(retryAfter: Int) -> APIError {
        APIError(
            status: .tooManyRequests, type: "rate_limit_error",
            message: "too many requests are waiting; try again in \(retryAfter) s", code: "queue_full",
            retryAfter: retryAfter)
    }

    /// The request ran out of time.
    static let timedOut = APIError(
        status: .serviceUnavailable, type: "server_error", message: "the request took longer than this server allows",
        code: "timeout")

    /// The server is about to end.
    static let shuttingDown = APIError(
        status: .serviceUnavailable, type: "server_error", message: "the server is shutting down",
        code: "shutting_down", retryAfter: 1)

    /// The engine could not do it.
    static func cannotCompute(_ fault: String) -> APIError {
        APIError(
            status: .serviceUnavailable, type: "server_error", message: "the request cannot be computed: \(fault)",
            code: "engine", retryAfter: 1)
    }

    /// Nobody reads this; the status, which is nginx', is for the log.
    static let clientHasGone = APIError(
        status: .init(code: 499, reasonPhrase: "Client Closed Request"), type: "cancelled",
        message: "the client has gone")

    /// There is nothing at this path.
    static let notFound = APIError(
        status: .notFound, type: "invalid_request_error", message: "there is nothing at this path", code: "not_found")

    /// The path has other methods.
    static let wrongMethod = APIError(
        status: .methodNotAllowed, type: "invalid_request_error", message: "this path does not have this method",
        code: "method_not_allowed")

    /// No key, or a wrong one.
    static let wrongKey = APIError(
        status: .unauthorized, type: "authentication_error",
        message: "this server wants a key it knows: Authorization: Bearer KEY", code: "invalid_api_key")

    /// Chat is for models that were trained for it.
    static let noChat = APIError(
        status: .notFound, type: "invalid_request_error",
        message: "phi models continue code and are not chat models; send the beginning of a program to /v1/completions",
        param: "model", code: "not_a_chat_model")

    /// What nobody should see.
    static let internalError = APIError(
        status: .internalServerError, type: "server_error", message: "the server has failed; its log says more")
}

extension APIError: Encodable {
    private enum Outer: String, CodingKey { case error }
    private enum Inner: String, CodingKey { case message, type, param, code }

    func encode(to encoder: any Encoder) throws {
        var outer = encoder.container(keyedBy: Outer.self)
        var inner = outer.nestedContainer(keyedBy: Inner.self, forKey: .error)
        try inner.encode(message, forKey: .message)
        try inner.encode(type, forKey: .type)
        try inner.encode(param, forKey: .param)
        try inner.encode(code, forKey: .code)
    }
}
