import Dispatch
import Synchronization

extension Sandbox {
    /// Runs programs, `workers` at a time, and returns their verdicts in order. `shouldContinue` is called with the number
    /// that are done.
    ///
    /// Throws ``PhiFormat/FormatError`` when the sandbox fails, and `CancellationError` when `shouldContinue` returns false.
    package func judge(
        _ programs: [CheckedProgram], workers: Int, while shouldContinue: @Sendable (Int) -> Bool = { _ in true }
    ) throws -> [Verdict] {
        let state = Mutex(JudgingState(verdicts: Array(repeating: nil, count: programs.count)))
        DispatchQueue.concurrentPerform(iterations: max(1, min(workers, programs.count))) { slot in
            while let index = state.withLock({ $0.take() }) {
                let result = Result { try run(programs[index], slot: slot) }
                state.withLock { $0.put(result, at: index, shouldContinue) }
            }
        }
        return try state.withLock { state in
            if let fault = state.fault { throw fault }
            return state.verdicts.compactMap(\.self)
        }
    }
}

/// The state that workers share.
private struct JudgingState: ~Copyable {
    var verdicts: [Verdict?]
    var fault: (any Error)?
    private var next = 0
    private var done = 0

    init(verdicts: [Verdict?]) { self.verdicts = verdicts }

    /// The index of the next program; nil when there is none or a run has failed.
    mutating func take() -> Int? {
        guard fault == nil, next < verdicts.count else { return nil }
        defer { next += 1 }
        return next
    }

    mutating func put(_ result: Result<Verdict, any Error>, at index: Int, _ shouldContinue: (Int) -> Bool) {
        switch result {
        case .success(let verdict): verdicts[index] = verdict
        case .failure(let error): fault = fault ?? error
        }
        done += 1
        if !shouldContinue(done) { fault = fault ?? CancellationError() }
    }
}
