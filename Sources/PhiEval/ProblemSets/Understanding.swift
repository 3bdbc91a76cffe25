import CPhiProblems

/// Problems of our own making in HumanEval's form, told as people tell of odd tasks and unlike any exercise, as in the phi-1 paper's section 4.
enum Understanding: ProblemSet {
    static let name = "Understanding"
    static let abstract = "Score a model, or samples, on 50 unconventional problems, which are built in."
    static let promptMode = HumanEval.promptMode
    static let promptTests: PromptTests? = nil
    static let seconds = HumanEval.seconds
    static let stops = HumanEval.stops
    static var builtIn: [UInt8]? {
        Array(UnsafeRawBufferPointer(start: phi_understanding_problems(), count: phi_understanding_problems_size()))
    }

    static func problem(_ row: HumanEval.Row, promptTests: Int) -> CodeProblem? {
        HumanEval.problem(row, promptTests: promptTests)
    }
}
