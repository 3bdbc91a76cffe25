import Foundation
import Phi

/// Owns the engine: one thread of its own does all steps, requests come in through a queue and results go out as streams.
public final class Scheduler: Sendable {
    private let inbox: Inbox
    private let isDone = DispatchSemaphore(value: 0)
    private let metrics: ServerMetrics
    /// Positions that a text can have.
    let context: Int

    /// Starts the engine's thread. Throws ``SessionError`` when a setting is out of range or the memory is not there.
    public init(_ model: LanguageModel, _ settings: SchedulerSettings, _ metrics: ServerMetrics) throws {
        let engine = try Engine(model, context: settings.context, threads: settings.threads)
        // Tells now rather than with the first request that there is no memory for one.
        _ = try Session(engine, cache: settings.cacheEncoding)
        context = engine.context
        self.metrics = metrics
        inbox = Inbox(limit: settings.queue, slots: settings.slots)
        let handover = Handover(StepLoop(engine, settings, inbox, metrics))
        let thread = Thread { [isDone] in
            handover.take()?.run()
            isDone.signal()
        }
        thread.name = "engine"
        thread.stackSize = 8 << 20
        thread.start()
    }

    /// Takes a request. Throws ``APIError`` when the queue is full or the server is about to end.
    func submit(_ job: Job) throws(APIError) {
        do throws(APIError) {
            try inbox.submit(job)
        } catch {
            if error.status == .tooManyRequests { metrics.rejected.increment() }
            throw error
        }
    }

    /// Ends a request that nobody waits for any more, before the engine's next step.
    func cancel(_ job: Job) { inbox.cancel(job) }

    /// Takes no further requests; those that are not done after `duration` are ended then.
    public func drain(for duration: Duration) { inbox.close(by: .now + duration) }

    /// Whether it takes requests.
    var isOpen: Bool { !inbox.isClosed }

    /// Whether a step takes so long that something must be wrong.
    var isStuck: Bool { inbox.stepAge.map { $0 > .seconds(60) } ?? false }

    /// Waits until the thread has done all that there was, after ``drain(for:)``.
    public func waitUntilDone() {
        isDone.wait()
        isDone.signal()
    }
}

/// Numbers that the scheduler goes by.
public struct SchedulerSettings: Sendable {
    /// Texts that are made at once, at most ``Phi/Engine/sessionsAtOnce``.
    public var slots = 8
    /// Positions that a text can have; nil for the model's number.
    public var context: Int?
    /// Threads to compute on; nil for one for each core.
    public var threads: Int?
    /// How keys and values are kept; nil for what suits the model.
    public var cacheEncoding: CacheEncoding?
    /// Texts that may wait for a slot before requests are turned away.
    public var queue = 64
    /// Bytes of finished texts' keys and values that are kept.
    public var prefixCacheBytes = 512 << 20

    /// The defaults.
    public init() {}
}

/// Hands a value on to one other thread, once.
private final class Handover<Value>: @unchecked Sendable {
    private var value: Value?

    init(_ value: Value) { self.value = value }

    func take() -> Value? {
        defer { value = nil }
        return value
    }
}
