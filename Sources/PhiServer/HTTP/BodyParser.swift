import Dispatch
import Hummingbird
import NIOCore

/// Serial queues that parse and tokenize bodies, compile constraints and encode large responses, so that these neither occupy the
/// threads that serve all requests nor make small bodies wait.
struct BodyParser: Sendable {
    /// Bytes that a body may have.
    let limit: Int
    private let small = DispatchQueue(label: "parser")
    private let large = DispatchQueue(label: "parser of large bodies")
    private let constraints = DispatchQueue(label: "compiler of constraints")
    private let responses = DispatchQueue(label: "encoder of large responses")
    /// Bytes of a small body: the text of a full context and more.
    private static let smallBytes = 16 << 10

    /// Collects the body of a JSON request and parses it by `parse` on a queue.
    func parse<Value: Sendable>(
        _ request: Request, by parse: @escaping @Sendable ([UInt8]) throws(APIError) -> Value
    ) async throws -> Value {
        let body = try await collect(request)
        let queue = body.count <= Self.smallBytes ? small : large
        return try await run(on: queue) { () throws(APIError) in try parse(body) }
    }

    /// Compiles the constraint of a request. Throws ``APIError/clientHasGone`` when `isWanted` returns false before that.
    func compile(
        _ request: CompletionRequest, while isWanted: @escaping @Sendable () -> Bool
    ) async throws -> CompletionRequest {
        try await run(on: constraints) { () throws(APIError) in
            guard isWanted() else { throw .clientHasGone }
            var request = request
            try request.compileConstraint()
            return request
        }
    }

    /// Encodes a large response by `make`.
    func encode(_ make: @escaping @Sendable () -> ByteBuffer) async throws -> ByteBuffer {
        try await run(on: responses) { () throws(APIError) in make() }
    }

    private func run<Value: Sendable>(
        on queue: DispatchQueue, _ work: @escaping @Sendable () throws(APIError) -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result(catching: work)) }
        }
    }

    /// The body of a JSON request. Throws ``APIError`` when it is longer than the limit, encoded or not declared as JSON: without a
    /// CORS preflight, a page from elsewhere cannot make a browser send JSON.
    private func collect(_ request: Request) async throws -> [UInt8] {
        let type = request.headers[.contentType]?.split(separator: ";").first?.split(whereSeparator: \.isWhitespace)
        guard type?.map({ $0.lowercased() }) == ["application/json"] else {
            throw APIError.unsupportedMedia("requests need the header Content-Type: application/json")
        }
        guard request.headers[.contentEncoding].map({ $0.lowercased() == "identity" }) ?? true else {
            throw APIError.unsupportedMedia("bodies are not decompressed; send this one without Content-Encoding")
        }
        let tooLong = APIError(
            status: .contentTooLarge, type: "invalid_request_error", message: "the body is longer than \(limit) bytes",
            code: "body_too_large")
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limit { throw tooLong }
        do {
            let buffer = try await request.body.collect(upTo: limit)
            return Array(buffer.readableBytesView)
        } catch is NIOTooManyBytesError {
            throw tooLong
        }
    }
}
