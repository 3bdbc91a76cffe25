import Dispatch
import Phi
import PhiFormat

/// The thread that owns the engine: it runs a ``ContinuousBatcher`` on the requests of ``queue`` until that is closed.
package final class EngineThread: Sendable {
    package let queue: RequestQueue
    /// Positions of a session.
    let context: Int
    /// Encoding of the sequences' KV caches.
    let cacheEncoding: CacheEncoding
    private let isDone = DispatchSemaphore(value: 0)

    /// Makes the engine and starts the thread. Throws ``SessionError`` when a setting is out of range or memory is short, and
    /// ``FormatError`` when the directory of prefixes cannot be used, whose faults are reported to `report`.
    package init(
        _ model: LanguageModel, _ settings: BatchingSettings, _ metrics: ServerMetrics,
        report: @escaping @Sendable (String) -> Void = { _ in }
    ) throws {
        let engine = try Engine(
            model, context: settings.context, threads: settings.threads, speculation: settings.speculation)
        // Reports now, not at the first request, that memory for a session is short.
        let encoding = try Session(engine, cache: settings.cacheEncoding).cacheEncoding
        cacheEncoding = encoding
        context = engine.context
        let directory = try settings.prefixDirectory.map { path in
            try PrefixDirectory(
                path, limit: settings.prefixDirectoryBytes, model, encoding, context: engine.context, report: report)
        }
        queue = RequestQueue(limit: settings.queue, slots: settings.slots, metrics)
        // Handed over: from here on, the new thread alone uses the batcher and its engine.
        nonisolated(unsafe) let batcher = ContinuousBatcher(engine, settings, directory, queue, metrics)
        DispatchQueue(label: "engine").async { [isDone] in
            batcher.run()
            isDone.signal()
        }
    }

    /// Waits until the queue is closed and all its requests have ended.
    package func join() {
        isDone.wait()
        isDone.signal()
    }
}

/// Settings of continuous batching.
package struct BatchingSettings: Sendable {
    /// Sequences that are computed at once, at most ``Phi/Engine/sessionsAtOnce``.
    package var slots = 8
    /// Positions of a sequence; nil for the model's maximum.
    package var context: Int?
    /// Threads of the engine; nil for one for each core.
    package var threads: Int?
    /// Encoding of the KV cache; nil for the model's default.
    package var cacheEncoding: CacheEncoding?
    /// Whether tokens are drafted, and where drafts come from.
    package var speculation = Speculation.automatic
    /// Sequences that may wait for a slot before requests are refused.
    package var queue = 64
    /// Bytes of memory that finished sequences may keep for prefix reuse.
    package var prefixCacheBytes = 512 << 20
    /// The directory in which prefixes survive a restart, if any.
    package var prefixDirectory: FilePath?
    /// Bytes of files in it.
    package var prefixDirectoryBytes = 4096 << 20

    /// The defaults.
    package init() {}
}
