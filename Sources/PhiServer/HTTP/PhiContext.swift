import Hummingbird
import Logging
import NIOCore
import Synchronization

/// What belongs to one request, from its head to the end of its answer.
struct PhiContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel
    /// What its log line says besides path, status and time.
    let notes = RequestNotes()

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }
}

/// Gathers what a request's log line says.
final class RequestNotes: Sendable {
    private let all = Mutex<Logger.Metadata>([:])

    func note(_ key: String, _ value: Logger.MetadataValue) { all.withLock { $0[key] = value } }

    func note(_ key: String, _ value: Int) { note(key, .stringConvertible(value)) }

    var metadata: Logger.Metadata { all.withLock { $0 } }
}
