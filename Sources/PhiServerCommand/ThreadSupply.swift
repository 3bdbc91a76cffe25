import PhiFormat
import PhiSystem

/// The threads that the system allows.
enum ThreadSupply {
    /// Throws ``FormatError`` when fewer than `count` threads can be started. Where threads run out, the libraries below the server
    /// end the process or wait for ever, so this comes before them.
    static func check(_ count: Int) throws(FormatError) {
        let gate = Gate()
        gate.lock()
        var threads: [pthread_t] = []
        for _ in 0..<count {
            guard let thread = gate.startThread() else { break }
            threads.append(thread)
        }
        gate.unlock()
        for thread in threads { pthread_join(thread, nil) }
        guard threads.count == count else {
            throw FormatError(
                "threads",
                "the system allows \(threads.count), the server needs \(count); raise ulimit -u or the container's limit"
            )
        }
    }
}

/// A lock at which threads wait.
private final class Gate {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    init() { pthread_mutex_init(mutex, nil) }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    func lock() { pthread_mutex_lock(mutex) }
    func unlock() { pthread_mutex_unlock(mutex) }

    /// Starts a thread that ends once the lock is free; nil if there can be no more.
    func startThread() -> pthread_t? {
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { raw in
                let mutex = raw?.assumingMemoryBound(to: pthread_mutex_t.self)
                if let mutex {
                    pthread_mutex_lock(mutex)
                    pthread_mutex_unlock(mutex)
                }
                return nil
            }, mutex)
        return code == 0 ? thread : nil
    }
}
