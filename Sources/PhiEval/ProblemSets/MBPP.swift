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

    /// A row of `mbpp.jsonl`, of `sanitized-mbpp.json`, or of EvalPlus's `mbppplus` at Hugging Face, which is a sanitized one with more
    /// checks.
    struct Row: Decodable {
        let task_id: TaskID
        let text: String
        let code: String?
        let setup: String
        let test_list: [String]
        /// All checks of MBPP+, which include those of `test_list`.
        let test: String?

        private enum CodingKeys: CodingKey {
            case task_id, text, prompt, code, test_setup_code, test_imports, test_list, test
        }

        init(from decoder: any Decoder) throws {
            let row = try decoder.container(keyedBy: CodingKeys.self)
            let hasText = row.contains(.text) || !row.contains(.prompt)
            task_id = try row.decode(TaskID.self, forKey: .task_id)
            text = try row.decode(String.self, forKey: hasText ? .text : .prompt)
            code = try row.decodeIfPresent(String.self, forKey: .code)
            setup =
                try row.contains(.test_imports)
                ? row.decode([String].self, forKey: .test_imports).joined(separator: "\n")
                : row.decode(String.self, forKey: .test_setup_code)
            test_list = try row.decode([String].self, forKey: .test_list)
            test = try row.decodeIfPresent(String.self, forKey: .test)
        }
    }

    static func problem(_ row: Row, promptTests: Int) -> CodeProblem? {
        // MBPP+ has problems of all parts.
        guard row.test != nil || (11...510).contains(Int(row.task_id.description) ?? 0) else { return nil }
        let lines = [row.text] + row.test_list.prefix(promptTests)
        return CodeProblem(
            id: row.task_id, prompt: "\"\"\"\n" + lines.joined(separator: "\n") + "\n\"\"\"\n", before: "",
            checks: CheckedProgram.Checks(row.test ?? row.test_list.joined(separator: "\n"), setup: row.setup),
            reference: row.code)
    }
}
