import PhiSystem

/// An executor that runs an actor's jobs on one thread, in order, until ``end()``.
final class SessionThread: SerialExecutor {
    private let queue = JobQueue()

    /// Starts the thread. Throws ``SessionError`` when it cannot be created.
    init() throws(SessionError) {
        // The thread retains this object, so it lives as long as a job may run.
        let context = Unmanaged.passRetained(self).toOpaque()
        guard Self.start(context) else {
            Unmanaged<SessionThread>.fromOpaque(context).release()
            throw .noThread
        }
    }

    private static func start(_ context: UnsafeMutableRawPointer) -> Bool {
        #if canImport(Darwin)
            var thread: pthread_t?
            let code = pthread_create(&thread, nil, { SessionThread.run($0) }, context)
            guard code == 0, let thread else { return false }
        #else
            var thread = pthread_t()
            let code = pthread_create(&thread, nil, { SessionThread.run($0) }, context)
            guard code == 0 else { return false }
        #endif
        pthread_detach(thread)
        return true
    }

    private static func run(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
        guard let context else { return nil }
        let thread = Unmanaged<SessionThread>.fromOpaque(context).takeRetainedValue()
        while let job = thread.queue.next() { job.runSynchronously(on: thread.asUnownedSerialExecutor()) }
        return nil
    }

    func enqueue(_ job: consuming ExecutorJob) { queue.add(UnownedJob(job)) }

    /// Ends the thread after the jobs in the queue.
    func end() { queue.end() }
}

/// A first-in, first-out queue of jobs, filled by any thread and drained by one.
private final class JobQueue: @unchecked Sendable {
    // Allocated, because they must not move.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [UnownedJob] = []
    private var isEnded = false

    init() {
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func add(_ job: UnownedJob) { change { jobs.append(job) } }

    func end() { change { isEnded = true } }

    /// Waits for the next job and removes it; returns nil at the end.
    func next() -> UnownedJob? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while jobs.isEmpty, !isEnded { pthread_cond_wait(condition, mutex) }
        return jobs.isEmpty ? nil : jobs.removeFirst()
    }

    private func change(_ body: () -> Void) {
        pthread_mutex_lock(mutex)
        body()
        pthread_cond_signal(condition)
        pthread_mutex_unlock(mutex)
    }
}
