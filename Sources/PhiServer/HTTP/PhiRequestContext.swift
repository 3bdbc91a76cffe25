import Hummingbird
import Logging
import NIOCore
import PhiFormat
import Synchronization

/// The state of one request that middleware and endpoints share.
package struct PhiRequestContext: RequestContext {
    package var coreContext: CoreRequestContextStorage
    let channel: any Channel
    /// The id in the header `X-Request-Id`, in the log and in the ids of completions; set by ``RequestRecorder``.
    var requestID = ""
    /// The digest of the API key, if one is required; set by ``Authentication``.
    var apiKey: SHA256Digest?
    /// Further values for the request's log line.
    let notes = RequestNotes()

    package init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }
}

/// A thread-safe collection of values for a request's log line.
final class RequestNotes: Sendable {
    private let all = Mutex<Logger.Metadata>([:])

    func add(_ key: String, _ value: Logger.MetadataValue) { all.withLock { $0[key] = value } }

    func add(_ key: String, _ value: Int) { add(key, .stringConvertible(value)) }

    /// Adds what the response says about fields that are not used.
    func add(_ warnings: [String]) {
        if !warnings.isEmpty { add("warnings", .array(warnings.map { .string($0) })) }
    }

    var metadata: Logger.Metadata { all.withLock { $0 } }
}
