import HTTPTypes
import Hummingbird
import Logging

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Middleware that gives each request an id and a time limit, and counts and logs it when its response is sent.
struct RequestRecorder: RouterMiddleware {
    let timeLimit: Duration
    let metrics: ServerMetrics
    let logger: Logger

    func handle(
        _ request: Request, context: PhiRequestContext, next: (Request, PhiRequestContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        var context = context
        context.requestID = Self.id(request)
        // Limits also the time in which a client sends its body and reads its response.
        let channel = context.channel
        let timeout = channel.eventLoop.scheduleTask(in: .seconds(timeLimit.components.seconds + 30)) {
            channel.close(promise: nil)
        }
        var response = try await next(request, context)
        response.headers[.requestID] = context.requestID
        let (recorded, status) = (context, response.status)
        @Sendable func finish() {
            timeout.cancel()
            record(request.method, recorded, status, .now - start)
        }
        if request.method == .head {
            // The router sends the head only.
            finish()
            return response.createHeadResponse()
        }
        let body = response.body
        response.body = ResponseBody(contentLength: body.contentLength) { writer in
            defer { finish() }
            try await body.write(writer)
        }
        return response
    }

    private func record(
        _ method: HTTPRequest.Method, _ context: PhiRequestContext, _ status: HTTPResponse.Status, _ duration: Duration
    ) {
        // Only paths that have endpoints are named, so that clients cannot create time series.
        let path = context.endpointPath.flatMap { $0.hasPrefix("/") ? $0 : nil } ?? "other"
        metrics.recordResponse(path, status: status.code, after: duration)
        let metadata: Logger.Metadata = [
            "request_id": .string(context.requestID), "method": .string(method.rawValue), "path": .string(path),
            "status": .stringConvertible(status.code),
            "seconds": .stringConvertible((duration.seconds * 1e6).rounded() / 1e6),
        ]
        let isProbe = path == "/health" || path == "/metrics"
        logger.log(
            level: isProbe ? .debug : .info, "request",
            metadata: metadata.merging(context.notes.metadata) { own, _ in own })
    }

    /// The valid id that the client or a proxy gave, else a new one.
    private static func id(_ request: Request) -> String {
        let isWord = { (character: Character) in
            character.isASCII && (character.isLetter || character.isNumber || "-_.".contains(character))
        }
        if let given = request.headers[.requestID], (8...128).contains(given.utf8.count), given.allSatisfy(isWord) {
            return given
        }
        return UUID().uuidString.lowercased().filter { $0 != "-" }
    }
}

extension HTTPField.Name {
    /// The header that carries a request's id through proxies.
    package static var requestID: Self { Self("X-Request-Id") ?? .eTag }
}
