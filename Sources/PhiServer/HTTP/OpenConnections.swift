import NIOCore
import Synchronization

/// The open connections. Where a further one would be the last that is allowed, the one that has been idle longest is closed, so
/// that clients that keep connections open do not keep others out.
final class OpenConnections: Sendable {
    private struct Entry {
        let channel: any Channel
        /// Nil while a request that has arrived is answered.
        var idleSince: ContinuousClock.Instant?
    }
    private let limit: Int
    private let entries = Mutex<[ObjectIdentifier: Entry]>([:])
    private let closed = Atomic<Bool>(false)

    init(limit: Int) { self.limit = limit }

    func add(_ channel: any Channel) {
        let oldest = entries.withLock { entries -> (any Channel)? in
            defer { entries[ObjectIdentifier(channel)] = Entry(channel: channel, idleSince: .now) }
            guard entries.count + 1 >= limit else { return nil }
            let idle = entries.values.compactMap { entry in entry.idleSince.map { (entry.channel, $0) } }
            guard let oldest = idle.min(by: { $0.1 < $1.1 })?.0 else { return nil }
            entries[ObjectIdentifier(oldest)] = nil  // so that the next one does not choose it again
            return oldest
        }
        oldest?.close(promise: nil)
    }

    /// Closes all connections, also those with answers that are not sent yet.
    func closeAll() {
        closed.store(true, ordering: .releasing)
        let all = entries.withLock { $0.values.map(\.channel) }
        for channel in all { channel.close(promise: nil) }
    }

    /// Whether ``closeAll()`` was called.
    var isClosed: Bool { closed.load(ordering: .acquiring) }

    func remove(_ channel: any Channel) { entries.withLock { $0[ObjectIdentifier(channel)] = nil } }

    func setBusy(_ channel: any Channel) {
        entries.withLock { $0[ObjectIdentifier(channel)]?.idleSince = nil }
    }

    func setIdle(_ channel: any Channel) {
        entries.withLock { $0[ObjectIdentifier(channel)]?.idleSince = .now }
    }
}
