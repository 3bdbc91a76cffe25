import Dispatch
import Synchronization

/// The queue from the threads that serve requests to the engine's thread. Any thread may use it.
package final class RequestQueue: Sendable {
    private struct State {
        var new: [SubmittedRequest] = []
        /// Sequences that have no slot yet, including those of `new`.
        var waiting = 0
        /// Sequences that have a slot.
        var running = 0
        var stepStart: ContinuousClock.Instant?
        /// By when requests must end; nil until the queue is closed.
        var shutdownDeadline: ContinuousClock.Instant?
        /// Running mean of the seconds that a sequence keeps its slot.
        var secondsInSlot = 1.0

        /// Takes the engine's counts, to which new requests are added.
        mutating func set(waiting: Int, running: Int) {
            self.running = running
            self.waiting = waiting + new.reduce(0) { $0 + $1.request.sequenceCount }
        }
    }
    private let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)
    private let limit: Int
    private let slots: Int
    private let metrics: ServerMetrics

    /// A queue that refuses requests while `limit` or more sequences wait because all `slots` slots are taken.
    init(limit: Int, slots: Int, _ metrics: ServerMetrics) {
        self.limit = limit
        self.slots = slots
        self.metrics = metrics
    }

    // MARK: For the threads that serve requests

    /// Adds a request. Throws ``APIError`` when the queue is full or closed.
    package func submit(_ request: SubmittedRequest) throws(APIError) {
        try state.withLock { state throws(APIError) in
            if state.shutdownDeadline != nil { throw .shuttingDown }
            if state.running + state.waiting - slots >= limit {
                metrics.rejected.increment()
                let seconds = state.secondsInSlot * Double(state.waiting) / Double(slots)
                throw .queueIsFull(retryAfter: min(max(1, Int(bounded: seconds.rounded(.up))), 60))
            }
            state.new.append(request)
            state.waiting += request.request.sequenceCount
        }
        wake.signal()
    }

    /// Closes the queue; requests that are not finished by `deadline` fail then.
    package func close(by deadline: ContinuousClock.Instant) {
        state.withLock { $0.shutdownDeadline = min(deadline, $0.shutdownDeadline ?? deadline) }
        wake.signal()
    }

    /// Whether requests are refused because the server is shutting down.
    package var isClosed: Bool { state.withLock { $0.shutdownDeadline != nil } }

    /// Sequences that have a slot.
    var running: Int { state.withLock { $0.running } }

    /// Whether the engine's current step takes so long that it must be faulty.
    var isStuck: Bool { state.withLock { $0.stepStart.map { .now - $0 > .seconds(60) } ?? false } }

    // MARK: For the engine's thread

    /// Takes the new requests and the deadline of shutdown, if it has begun. Waits for either when the engine is idle.
    func next(isIdle: Bool) -> (new: [SubmittedRequest], shutdownDeadline: ContinuousClock.Instant?) {
        while true {
            let (new, shutdownDeadline) = state.withLock { state in
                state.stepStart = nil
                defer { state.new = [] }
                return (state.new, state.shutdownDeadline)
            }
            if !isIdle || !new.isEmpty || shutdownDeadline != nil { return (new, shutdownDeadline) }
            wake.wait()
        }
    }

    /// Notes that a step begins while `waiting` sequences have no slot and `running` have one.
    func stepBegins(waiting: Int, running: Int) {
        state.withLock { state in
            state.set(waiting: waiting, running: running)
            state.stepStart = .now
        }
    }

    /// Notes that so many sequences remain: before a client learns that its request has ended, as the next one may follow at once.
    func sequencesEnded(waiting: Int, running: Int) {
        state.withLock { $0.set(waiting: waiting, running: running) }
    }

    /// Notes how long a finished sequence had its slot.
    func slotIsFree(after seconds: Double) {
        state.withLock { $0.secondsInSlot = 0.9 * $0.secondsInSlot + 0.1 * seconds }
    }
}
