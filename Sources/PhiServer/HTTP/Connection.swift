import NIOCore
import NIOHTTP1
import Synchronization

/// The state of a client's connection, with handlers that run when it closes.
///
/// A client that closes only its sending side counts as gone: whether it still reads cannot be known. Hummingbird's own
/// `consumeWithInboundCloseHandler` is not used because it closes the connection after the response.
final class Connection: Sendable {
    private struct State {
        var isOpen = true
        var lastHandler = 0
        var handlers: [Int: @Sendable () -> Void] = [:]
    }
    private let state = Mutex(State())

    var isOpen: Bool { state.withLock(\.isOpen) }

    /// Runs `body` when the connection closes, at once if it has closed already; returns the number for
    /// ``removeHandler(_:)``.
    func whenClosed(_ body: @escaping @Sendable () -> Void) -> Int {
        let (number, isOpen) = state.withLock { state in
            state.lastHandler += 1
            if state.isOpen { state.handlers[state.lastHandler] = body }
            return (state.lastHandler, state.isOpen)
        }
        if !isOpen { body() }
        return number
    }

    func removeHandler(_ number: Int) { state.withLock { $0.handlers[number] = nil } }

    fileprivate func close() {
        let handlers = state.withLock { state in
            defer { state = State(isOpen: false, lastHandler: state.lastHandler) }
            return state.handlers.values.map { $0 }
        }
        for handler in handlers { handler() }
    }
}

/// A channel handler that learns of the end of a connection as soon as the system does.
final class ConnectionWatch: ChannelInboundHandler, RemovableChannelHandler, Sendable {
    typealias InboundIn = NIOAny
    typealias InboundOut = NIOAny

    let connection = Connection()
    private let makeRules: @Sendable () -> HTTPRules

    /// Makes a handler that adds the `rules` behind the parser of HTTP.
    init(rules: @escaping @Sendable () -> HTTPRules) { makeRules = rules }

    func handlerAdded(context: ChannelHandlerContext) {
        let pipeline = context.pipeline.syncOperations
        guard let parser = try? pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self) else { return }
        // Never fails: the parser is there.
        try? pipeline.addHandler(makeRules(), position: .after(parser))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed { connection.close() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        connection.close()
        context.fireChannelInactive()
    }
}

extension Channel {
    /// The connection of a channel that has a ``ConnectionWatch``.
    func connection() async -> Connection? {
        try? await pipeline.handler(type: ConnectionWatch.self).map(\.connection).get()
    }
}
