extension Sandbox {
    /// Runs programs, `workers` at a time, and returns their verdicts in order. `shouldContinue` is called with the number
    /// that are done, also while they run; when it returns false, they are killed.
    ///
    /// Throws ``PhiFormat/FormatError`` when the sandbox fails, and `CancellationError` when `shouldContinue` returns false.
    package func judge(
        _ programs: [CheckedProgram], workers: Int,
        while shouldContinue: @escaping @Sendable (Int) -> Bool = { _ in true }
    ) throws -> [Verdict] {
        try inParallel(programs.count, workers: workers, while: shouldContinue) { worker, index, isWanted in
            try run(programs[index], slot: worker, while: isWanted)
        }
    }
}
