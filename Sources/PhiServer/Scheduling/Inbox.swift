import Foundation
import Synchronization

/// How requests reach the engine's thread. Any thread may use it.
final class Inbox: Sendable {
    private struct State {
        var new: [Job] = []
        /// Texts that have no slot yet, those of `new` included.
        var waiting = 0
        var stepBegan: ContinuousClock.Instant?
        var closing: ContinuousClock.Instant?
        /// Mean seconds that a text has its slot.
        var textSeconds = 1.0
    }
    private let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)
    private let limit: Int
    private let slots: Int

    /// An inbox in which at most `limit` texts wait for one of `slots` slots before further requests are turned away.
    init(limit: Int, slots: Int) {
        self.limit = limit
        self.slots = slots
    }

    // MARK: For those who bring requests

    /// Takes a request. Throws ``APIError`` when the queue is full or the server is about to end.
    func submit(_ job: Job) throws(APIError) {
        let refusal: APIError? = state.withLock { state in
            if state.closing != nil { return .shuttingDown }
            if state.waiting >= limit {
                let seconds = state.textSeconds * Double(state.waiting) / Double(slots)
                return .queueIsFull(retryAfter: min(max(1, Int(seconds.rounded(.up))), 60))
            }
            state.new.append(job)
            state.waiting += job.textCount
            return nil
        }
        if let refusal { throw refusal }
        wake.signal()
    }

    /// Ends a request that nobody waits for any more.
    func cancel(_ job: Job) {
        job.cancel()
        wake.signal()
    }

    /// Takes no further requests; those that are not done by `deadline` are ended then.
    func close(by deadline: ContinuousClock.Instant) {
        state.withLock { $0.closing = $0.closing ?? deadline }
        wake.signal()
    }

    /// Whether it takes no further requests.
    var isClosed: Bool { state.withLock { $0.closing != nil } }

    /// How long the engine has been at the step that it is doing, if it is doing one.
    var stepAge: Duration? { state.withLock { $0.stepBegan.map { .now - $0 } } }

    // MARK: For the engine's thread

    /// Requests that came since the last call. Waits for one, or for a cancellation or the end, when there is nothing to do.
    func next(isIdle: Bool) -> (jobs: [Job], closing: ContinuousClock.Instant?) {
        while true {
            let (jobs, closing) = state.withLock { state in
                state.stepBegan = nil
                defer { state.new = [] }
                return (state.new, state.closing)
            }
            if !isIdle || !jobs.isEmpty || closing != nil { return (jobs, closing) }
            wake.wait()
        }
    }

    /// Says how many texts wait and that a step begins.
    func begin(waiting: Int) {
        state.withLock { state in
            state.waiting = waiting + state.new.reduce(0) { $0 + $1.textCount }
            state.stepBegan = .now
        }
    }

    /// Says how long a text had its slot.
    func textTook(_ seconds: Double) {
        state.withLock { $0.textSeconds = 0.9 * $0.textSeconds + 0.1 * seconds }
    }
}
