import Dispatch
import Synchronization

/// Returns the results of `work` for 0 to `count` - 1, in order. `workers` calls run at a time, on a thread each, however many processors
/// there are: they wait for other processes. Each is given its worker's number, the index, and a function that says whether its result is
/// still wanted. `shouldContinue` is called with the number that are done.
///
/// Throws the first error of `work`, after which no further call begins, and `CancellationError` when `shouldContinue` returns false.
func inParallel<Value: Sendable>(
    _ count: Int, workers: Int, while shouldContinue: @escaping @Sendable (Int) -> Bool,
    _ work: @escaping @Sendable (_ worker: Int, _ index: Int, _ isWanted: () -> Bool) throws -> Value
) throws -> [Value] {
    let state = Mutex(ParallelState<Value>(values: Array(repeating: nil, count: count)))
    let group = DispatchGroup()
    for worker in 0..<min(workers, count) {
        // A queue each, because a concurrent one has no more threads than the machine processors.
        DispatchQueue(label: "worker \(worker)").async(group: group) {
            while let index = state.withLock({ $0.take() }) {
                let result = Result {
                    try work(worker, index) { state.withLock { $0.isWanted(shouldContinue) } }
                }
                state.withLock { $0.put(result, at: index, shouldContinue) }
            }
        }
    }
    group.wait()
    return try state.withLock { state in
        if let fault = state.fault { throw fault }
        return state.values.compactMap(\.self)
    }
}

/// The state that workers share.
private struct ParallelState<Value: Sendable>: ~Copyable {
    var values: [Value?]
    var fault: (any Error)?
    private var next = 0
    private var done = 0

    init(values: [Value?]) { self.values = values }

    /// The next index; nil when there is none or a call has failed.
    mutating func take() -> Int? {
        guard fault == nil, next < values.count else { return nil }
        defer { next += 1 }
        return next
    }

    /// Whether no call has failed, and `shouldContinue` agrees.
    func isWanted(_ shouldContinue: (Int) -> Bool) -> Bool { fault == nil && shouldContinue(done) }

    mutating func put(_ result: Result<Value, any Error>, at index: Int, _ shouldContinue: (Int) -> Bool) {
        switch result {
        case .success(let value): values[index] = value
        case .failure(let error): fault = fault ?? error
        }
        done += 1
        if !shouldContinue(done) { fault = fault ?? CancellationError() }
    }
}
