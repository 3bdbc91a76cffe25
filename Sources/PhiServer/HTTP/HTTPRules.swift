import NIOCore
import NIOHTTP1

/// A channel handler for the rules of HTTP/1 that Hummingbird leaves open, between NIO's parser and the types of requests:
///
/// - A response to HTTP/1.0 is not chunked, and the connection closes after it. `Connection: close` is said.
/// - `Expect: 100-continue` is answered before the body.
/// - A body must arrive within a time; a client must read some of what is sent to it within a time.
/// - A connection is closed, and counts as idle, only when all that was written is sent.
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
    /// Writes that are not sent yet.
    private var unsent = 0
    /// Closes the connection, unless something is sent before.
    private var readDeadline: Scheduled<Void>?
    /// A close that waits for ``unsent`` writes.
    private var pendingClose: (mode: CloseMode, promise: EventLoopPromise<Void>)?

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
        readDeadline?.cancel()
        connections.remove(context.channel)
    }

    func channelInactive(context: ChannelHandlerContext) {
        bodyDeadline?.cancel()
        readDeadline?.cancel()
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
            guard case .body(.byteBuffer(var bytes)) = unwrapOutboundIn(data) else {
                return context.write(data, promise: untilSent(promise, context))
            }
            // In pieces, since what a client has read is known of whole writes only.
            while bytes.readableBytes > Self.pieceBytes, let piece = bytes.readSlice(length: Self.pieceBytes) {
                context.write(wrapOutboundOut(.body(.byteBuffer(piece))), promise: untilSent(nil, context))
            }
            context.write(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: untilSent(promise, context))
        case .end:
            if let body = exchanges.first?.errorBody {
                context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
            }
            if !exchanges.isEmpty { exchanges.removeFirst() }
            context.write(data, promise: untilSent(promise, context))
        }
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard unsent > 0, mode != .input, !connections.isClosed else {
            return context.close(mode: mode, promise: promise)
        }
        let own = pendingClose?.promise ?? context.eventLoop.makePromise()
        own.futureResult.cascade(to: promise)
        pendingClose = (pendingClose?.mode == .all ? .all : mode, own)
        context.flush()
    }

    /// Bytes of a body that are written at once.
    private static let pieceBytes = 1 << 16

    /// Returns a promise, `promise` if there is one, of a write. A client that reads nothing for a time must not hold an answer in
    /// memory, so the connection is then closed.
    private func untilSent(_ promise: EventLoopPromise<Void>?, _ context: ChannelHandlerContext) -> EventLoopPromise<
        Void
    > {
        let promise = promise ?? context.eventLoop.makePromise()
        unsent += 1
        if readDeadline == nil { startReadDeadline(context) }
        promise.futureResult.assumeIsolatedUnsafeUnchecked().whenComplete { [weak self] _ in self?.isSent(context) }
        return promise
    }

    private func startReadDeadline(_ context: ChannelHandlerContext) {
        readDeadline?.cancel()
        readDeadline = context.eventLoop.assumeIsolatedUnsafeUnchecked().scheduleTask(in: readTime) {
            context.close(promise: nil)
        }
    }

    /// A write has been sent, or has failed with the connection.
    private func isSent(_ context: ChannelHandlerContext) {
        unsent -= 1
        guard unsent == 0 else { return startReadDeadline(context) }
        readDeadline?.cancel()
        readDeadline = nil
        if let (mode, promise) = pendingClose {
            pendingClose = nil
            context.close(mode: mode, promise: promise)
        } else if exchanges.isEmpty {
            connections.setIdle(context.channel)
        }
    }
}

@available(*, unavailable)
extension HTTPRules: Sendable {}
