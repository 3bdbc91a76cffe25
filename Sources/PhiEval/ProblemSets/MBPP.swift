/// Google's MBPP (Austin et al. 2021, arXiv 2108.07732), its test split: a sentence and checks in a docstring, after which the
/// model writes the whole function.
enum MBPP: ProblemSet {
    static let name = "MBPP"
    static let abstract = "Score a model, or samples, on MBPP's test split, tasks 11 to 510."
    static let promptMode = PromptMode.raw
    static let promptTests: PromptTests? = PromptTests(
        range: 0...3, standard: 3,
        help: "Checks shown in a prompt: 3, as in MBPP's paper, or 1, as in bigcode-evaluation-harness.")
    /// MBPP's own solution of task 123 takes about 3 seconds on common machines.
    static let seconds = 10.0
    /// bigcode-evaluation-harness's.
    static let stops = ["\nclass", "\nassert", "\n\"\"\"", "\nprint", "\nif", "\n<|/", "\n```"]

    struct Row: Decodable {
        let task_id: Int
        let text: String
        let code: String?
        let test_setup_code: String
        let test_list: [String]
    }

    static func problem(_ row: Row, promptTests: Int) -> CodeProblem? {
        guard (11...510).contains(row.task_id) else { return nil }
        let lines = [row.text] + row.test_list.prefix(promptTests)
        return CodeProblem(
            id: TaskID(row.task_id), prompt: "\"\"\"\n" + lines.joined(separator: "\n") + "\n\"\"\"\n", before: "",
            checks: CheckedProgram.Checks(row.test_list.joined(separator: "\n"), setup: row.test_setup_code),
            reference: row.code)
    }
}
