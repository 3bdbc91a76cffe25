import CPhiPlayground
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOHTTP1

/// Answers all requests: gives each an id, checks its key, finds its route, turns what goes wrong into OpenAI's shape, counts
/// and logs it.
struct Responder: HTTPResponder {
    typealias Context = PhiContext

    let completions: CompletionsRoute
    let keys: APIKeys
    let metrics: ServerMetrics
    /// What `/metrics` says.
    let metricsText: @Sendable () -> String
    let logger: Logger

    private var model: ServedModel { completions.model }
    private var scheduler: Scheduler { completions.scheduler }

    func respond(to request: Request, context: PhiContext) async throws -> Response {
        let began = ContinuousClock.now
        let id = Self.id(request)
        // A body that trickles in and a client that does not read its answer may take as long as a request and no longer.
        let channel = context.channel
        let end = channel.eventLoop.scheduleTask(in: .seconds(completions.limits.time.components.seconds + 30)) {
            channel.close(promise: nil)
        }
        let path = Self.paths[request.uri.path] == nil ? "other" : request.uri.path
        var response: Response
        do {
            response = try await route(request, context, id)
        } catch let error as APIError {
            context.notes.note("error", .string(error.message))
            response = .error(error)
        } catch let error as HTTPParserError {
            throw error
        } catch is CancellationError {
            response = .error(.shuttingDown)
        } catch {
            logger.error("a request failed", metadata: ["request_id": .string(id), "error": .string("\(error)")])
            response = .error(.internalError)
        }
        response.headers[.requestID] = id
        let status = response.status.code
        // The answer ends when its last byte is written, not when its head is ready.
        let body = response.body
        let head = request.method == .head
        response.body = ResponseBody(contentLength: body.contentLength) { [logger, metrics] writer in
            defer {
                end.cancel()
                let took = ContinuousClock.now - began
                metrics.answered(path, status: status, after: took)
                let notes: Logger.Metadata = [
                    "request_id": .string(id), "method": .string(request.method.rawValue), "path": .string(path),
                    "status": .stringConvertible(status),
                    "seconds": .stringConvertible((took.seconds * 1e6).rounded() / 1e6),
                ]
                let isQuiet = path == "/health" || path == "/metrics"
                logger.log(
                    level: isQuiet ? .debug : .info, "request",
                    metadata: notes.merging(context.notes.metadata) { own, _ in own })
            }
            if head { try await writer.finish(nil) } else { try await body.write(writer) }
        }
        return response
    }

    /// The id that the client or the proxy before this server gave, if it is one, else a new one.
    private static func id(_ request: Request) -> String {
        if let given = request.headers[.requestID], (8...128).contains(given.utf8.count),
            given.utf8.allSatisfy({ isWordByte($0) })
        {
            return given
        }
        return UUID().uuidString.lowercased().filter { $0 != "-" }
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    private enum Route { case page, health, metrics, models, completions, chat, tokenize, detokenize }

    private static let paths: [String: (method: HTTPRequest.Method, route: Route)] = [
        "/": (.get, .page), "/health": (.get, .health), "/metrics": (.get, .metrics), "/v1/models": (.get, .models),
        "/v1/completions": (.post, .completions), "/v1/chat/completions": (.post, .chat),
        "/v1/responses": (.post, .chat),
        "/tokenize": (.post, .tokenize), "/detokenize": (.post, .detokenize),
    ]

    private func route(_ request: Request, _ context: PhiContext, _ id: String) async throws -> Response {
        let path = request.uri.path
        let entry = Self.paths[path]
        if entry?.route != .page, entry?.route != .health, !keys.accept(request.headers[.authorization]) {
            throw APIError.wrongKey
        }
        guard let entry else {
            let prefix = "/v1/models/"
            guard path.hasPrefix(prefix), request.method == .get else { throw APIError.notFound }
            try model.check(name: String(path.dropFirst(prefix.count)).removingPercentEncoding)
            return .json(ModelBody(model))
        }
        guard request.method == entry.method || (request.method == .head && entry.method == .get) else {
            throw APIError.wrongMethod
        }
        switch entry.route {
        case .page: return page()
        case .health: return health()
        case .metrics: return .text(metricsText(), type: "text/plain; version=0.0.4; charset=utf-8")
        case .models: return .json(ModelListBody(data: [ModelBody(model)]))
        case .completions: return try await completions.respond(to: request, context, id: id)
        case .chat: throw APIError.noChat
        case .tokenize: return try await tokenize(request)
        case .detokenize: return try await detokenize(request)
        }
    }

    /// The playground. It loads nothing from anywhere and runs nothing but its own script.
    private func page() -> Response {
        let bytes = UnsafeRawBufferPointer(start: phi_playground(), count: phi_playground_size())
        return Response(
            status: .ok,
            headers: [
                .contentType: "text/html; charset=utf-8", .cacheControl: "no-cache",
                .contentSecurityPolicy:
                    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; "
                    + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                .xContentTypeOptions: "nosniff",
            ], body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    private func health() -> Response {
        struct Health: Encodable { let status: String }
        if !scheduler.isOpen { return .json(Health(status: "shutting down"), status: .serviceUnavailable) }
        if scheduler.isStuck { return .json(Health(status: "stuck"), status: .serviceUnavailable) }
        return .json(Health(status: "ok"))
    }

    private func tokenize(_ request: Request) async throws -> Response {
        let body = try await request.jsonBody(upTo: completions.limits.bodyBytes)
        return .json(
            try await completions.parser.run { [model] () throws(APIError) in try TokenizeBody(answering: body, model) }
        )
    }

    private func detokenize(_ request: Request) async throws -> Response {
        let body = try await request.jsonBody(upTo: completions.limits.bodyBytes)
        return .json(
            try await completions.parser.run { [model] () throws(APIError) in
                try DetokenizeBody(answering: body, model)
            })
    }
}

extension HTTPField.Name {
    /// The name under which proxies and clients know a request.
    static var requestID: Self { Self("X-Request-Id") ?? .eTag }
}
