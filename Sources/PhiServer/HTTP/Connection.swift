import NIOCore
import Synchronization

/// Whether a connection's client is still there, and who wants to know when it goes.
///
/// A client that closes only its own side counts as gone too: whether it still reads cannot be told.
final class Connection: Sendable {
    private struct State {
        var isOpen = true
        var next = 0
        var waiting: [Int: @Sendable () -> Void] = [:]
    }
    private let state = Mutex(State())

    /// Runs `body` when the client goes, at once if it has gone, unless it is called off with ``callOff(_:)`` before.
    func whenClosed(_ body: @escaping @Sendable () -> Void) -> Int {
        let (number, isOpen) = state.withLock { state in
            state.next += 1
            if state.isOpen { state.waiting[state.next] = body }
            return (state.next, state.isOpen)
        }
        if !isOpen { body() }
        return number
    }

    func callOff(_ number: Int) { state.withLock { $0.waiting[number] = nil } }

    fileprivate func close() {
        let bodies = state.withLock { state in
            defer { state = State(isOpen: false, next: state.next) }
            return state.waiting.values.map { $0 }
        }
        for body in bodies { body() }
    }
}

/// Watches a connection from inside its channel's pipeline, where its end is known as soon as the system knows it.
final class ConnectionWatch: ChannelInboundHandler, RemovableChannelHandler, Sendable {
    typealias InboundIn = NIOAny
    typealias InboundOut = NIOAny

    let connection = Connection()

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
