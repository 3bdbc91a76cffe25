import NIOCore
import NIOHTTP1

/// A channel handler for the rules of HTTP/1 that Hummingbird leaves open, between NIO's parser and the types of requests:
///
/// - A response to HTTP/1.0 is not chunked, and the connection closes after it. `Connection: close` is said.
/// - `Expect: 100-continue` is answered before the body.
/// - A body must arrive, and what is sent must be read, within a time.
/// - The answer to a request that is not HTTP is an error in OpenAI's shape.
/// - Idle connections make room for new ones, see ``OpenConnections``.
final class HTTPRules: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private let bodyBytes: Int
    private let bodyTime, readTime: TimeAmount
    private let connections: OpenConnections
    /// Requests whose responses are not complete, oldest first.
    private var exchanges: [Exchange] = []
    private var bodyDeadline: Scheduled<Void>?
    private var parserError: HTTPParserError?

    private struct Exchange {
        let version: HTTPVersion
        var closes: Bool
        /// A body that takes the place of the empty one that follows.
        var errorBody: ByteBuffer?
    }

    init(_ limits: RequestLimits, _ connections: OpenConnections) {
        bodyBytes = limits.bodyBytes
        (bodyTime, readTime) = (TimeAmount(limits.bodyTime), TimeAmount(limits.readTime))
        self.connections = connections
    }

    func handlerAdded(context: ChannelHandlerContext) { connections.add(context.channel) }

    func handlerRemoved(context: ChannelHandlerContext) {
        bodyDeadline?.cancel()
        connections.remove(context.channel)
    }

    func channelInactive(context: ChannelHandlerContext) {
        bodyDeadline?.cancel()
        connections.remove(context.channel)
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(var head):
            let isOld = head.version.major < 1 || head.version == .http1_0
            let closes = isOld || !head.isKeepAlive
            // Hummingbird knows this spelling alone.
            if closes { head.headers.replaceOrAdd(name: "connection", value: "close") }
            if isOld, !head.headers.contains(name: "host") { head.headers.add(name: "host", value: "localhost") }
            // Two hosts are none: the server refuses both.
            if head.headers["host"].count > 1 { head.headers.remove(name: "host") }
            if exchanges.isEmpty, !isOld { continueIfExpected(head, context) }
            exchanges.append(Exchange(version: isOld ? .http1_0 : .http1_1, closes: closes))
            startBodyDeadline(context)
            context.fireChannelRead(wrapInboundOut(.head(head)))
        case .body:
            context.fireChannelRead(data)
        case .end:
            bodyDeadline?.cancel()
            // Not before, so that bodies that trickle do not keep others out.
            if !exchanges.isEmpty { connections.setBusy(context.channel) }
            context.fireChannelRead(data)
        }
    }

    private func continueIfExpected(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let expects = head.headers[canonicalForm: "expect"].contains { $0.lowercased() == "100-continue" }
        // A body that is too long is refused without being read.
        guard expects, head.headers.first(name: "content-length").flatMap({ Int($0) }) ?? 0 <= bodyBytes else { return }
        context.writeAndFlush(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
    }

    private func startBodyDeadline(_ context: ChannelHandlerContext) {
        bodyDeadline?.cancel()
        bodyDeadline = context.eventLoop.assumeIsolatedUnsafeUnchecked().scheduleTask(in: bodyTime) { [weak self] in
            guard let self, !exchanges.isEmpty else { return }
            exchanges[exchanges.count - 1].closes = true
            context.fireErrorCaught(APIError.bodyTooSlow)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        parserError = parserError ?? error as? HTTPParserError
        context.fireErrorCaught(error)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head):
            if exchanges.isEmpty { exchanges.append(Exchange(version: .http1_1, closes: true)) }
            head.version = exchanges[0].version
            // Hummingbird's answer to a request that is not HTTP.
            if let parserError, head.status == .badRequest, head.headers.first(name: "content-length") == "0" {
                exchanges[0].closes = true
                let error = APIError.notHTTP(parserError)
                let body = ByteBuffer.json(error)
                head.status = HTTPResponseStatus(statusCode: error.status.code)
                head.headers.replaceOrAdd(name: "content-type", value: "application/json")
                head.headers.replaceOrAdd(name: "content-length", value: "\(body.readableBytes)")
                exchanges[0].errorBody = body
            }
            if exchanges[0].closes { head.headers.replaceOrAdd(name: "connection", value: "close") }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body:
            context.write(data, promise: untilRead(promise, context))
        case .end:
            if let body = exchanges.first?.errorBody {
                context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
            }
            if !exchanges.isEmpty { exchanges.removeFirst() }
            if exchanges.isEmpty { connections.setIdle(context.channel) }
            context.write(data, promise: untilRead(promise, context))
        }
    }

    /// Returns a promise, `promise` if there is one, of a part whose write may not last: a client that does not read it must not hold
    /// a whole answer in memory.
    private func untilRead(_ promise: EventLoopPromise<Void>?, _ context: ChannelHandlerContext) -> EventLoopPromise<
        Void
    > {
        let promise = promise ?? context.eventLoop.makePromise()
        let channel = context.channel
        let deadline = context.eventLoop.scheduleTask(in: readTime) { channel.close(promise: nil) }
        promise.futureResult.whenComplete { _ in deadline.cancel() }
        return promise
    }
}

@available(*, unavailable)
extension HTTPRules: Sendable {}
