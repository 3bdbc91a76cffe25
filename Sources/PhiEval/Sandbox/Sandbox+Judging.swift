extension Sandbox {
    /// Runs programs, `workers` at a time, and returns their verdicts in order. `shouldContinue` is called with the number
    /// that are done.
    ///
    /// Throws ``PhiFormat/FormatError`` when the sandbox fails, and `CancellationError` when `shouldContinue` returns false.
    package func judge(
        _ programs: [CheckedProgram], workers: Int,
        while shouldContinue: @escaping @Sendable (Int) -> Bool = { _ in true }
    ) throws -> [Verdict] {
        try inParallel(programs.count, workers: workers, while: shouldContinue) { try run(programs[$1], slot: $0) }
    }
}
