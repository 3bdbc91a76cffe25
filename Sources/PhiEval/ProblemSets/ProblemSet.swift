import PhiFormat
import PhiJSON

/// A set of programming problems: how its file is read, how a problem is put to a model and how a completion is checked.
///
/// Each set is a file of its own. To add one, write a conforming type and name it in ``ProblemSets/all``; `phi eval` makes a
/// subcommand of every set there.
package protocol ProblemSet: Sendable {
    /// The name in reports and errors; in lower case, the name of the subcommand.
    static var name: String { get }
    /// The one-line help of the subcommand.
    static var abstract: String { get }
    /// How prompts end by default.
    static var promptMode: PromptMode { get }
    /// The number of a problem's checks that a prompt can show; nil when the file holds whole prompts.
    static var promptTests: PromptTests? { get }
    /// Seconds a program may run by default.
    static var seconds: Double { get }
    /// Strings that end a completion.
    static var stops: [String] { get }
    /// A problem file that is built in; nil when there is none.
    static var builtIn: [UInt8]? { get }
    /// The JSON object on a line of the problem file.
    associatedtype Row: Decodable
    /// The problem of a row, its prompt showing the first `promptTests` checks; nil for a row that is not part of the set.
    static func problem(_ row: Row, promptTests: Int) -> CodeProblem?
}

/// The problem sets of `phi eval`.
package enum ProblemSets {
    package static let all: [any ProblemSet.Type] = [HumanEval.self, MBPP.self, Understanding.self]
}

/// How a prompt ends.
package enum PromptMode: String, Sendable, CaseIterable {
    /// Without whitespace at both ends, the default of bigcode-evaluation-harness.
    case stripped
    /// As the problem set defines it.
    case raw

    func apply(to prompt: String) -> String {
        guard self == .stripped else { return prompt }
        return String(prompt.trimmingPrefix(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}

/// The choice of how many of a problem's checks its prompt shows.
package struct PromptTests: Sendable {
    package let range: ClosedRange<Int>
    package let standard: Int
    /// The help of the option `--prompt-tests`.
    package let help: String
}

extension ProblemSet {
    package static var builtIn: [UInt8]? { nil }

    /// The problems in the file at `path`, `.jsonl`, `.jsonl.gz` or a JSON array, or, if it is nil, in the built-in one. Throws ``FormatError`` naming
    /// the first line that is not a problem.
    package static func read(
        _ path: FilePath?, mode: PromptMode, promptTests: Int
    ) throws(FormatError) -> [CodeProblem] {
        var problems: [CodeProblem] = []
        var seen: Set<TaskID> = []
        let file = fileName(path)
        let lines = if let path { try TextLines.read(path) } else { TextLines.split(builtIn ?? []) }
        for line in lines {
            let place = "\(file): line \(line.number)"
            let row: Row
            do throws(FormatError) {
                row = try JSONText.decode(Row.self, from: line.bytes, of: place)
            } catch {
                guard (try? JSONText.decode(InputRow.self, from: line.bytes, of: place)) != nil else { throw error }
                throw FormatError(
                    place,
                    "\(error.fault): it is EvalPlus's own format, whose checks are inputs; its humanevalplus and "
                        + "mbppplus at Hugging Face have them as code")
            }
            guard var problem = problem(row, promptTests: promptTests) else { continue }
            problem.prompt = mode.apply(to: problem.prompt)
            guard seen.insert(problem.id).inserted else { throw FormatError(place, "has the task \(problem.id) again") }
            problems.append(problem)
        }
        guard !problems.isEmpty else { throw FormatError(file, "holds no problem of \(name)") }
        return problems
    }

    /// The name of the problem file in errors.
    package static func fileName(_ path: FilePath?) -> String { path?.description ?? "built-in problems" }
}

/// A row of EvalPlus's own files.
private struct InputRow: Decodable { let base_input: JSONText.Anything }

/// A programming problem with its checks.
package struct CodeProblem: Sendable {
    package let id: TaskID
    /// The text that the model continues.
    package fileprivate(set) var prompt: String
    /// The program before the completion.
    let before: String
    let checks: CheckedProgram.Checks
    /// A correct completion, if the file has one.
    package let reference: String?

    /// The program that a sample makes, and its checks.
    package func program(_ sample: CodeSample) -> CheckedProgram {
        CheckedProgram((sample.solution ?? before + sample.completion) + "\n", checks: checks)
    }
}

/// The name of a problem: a string in HumanEval, a number in MBPP, `Mbpp/11` in EvalPlus's files of MBPP, which is read as 11. A number
/// equals the string of its digits, which other programs write.
package struct TaskID: Hashable, Sendable, Codable, CustomStringConvertible {
    package let description: String
    private let number: Int?

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let prefix = "Mbpp/"
        var number = try? container.decode(Int.self)
        var name = try number.map(String.init) ?? container.decode(String.self)
        if name.hasPrefix(prefix), let index = Int(name.dropFirst(prefix.count)) {
            (number, name) = (index, "\(index)")
        }
        (self.number, description) = (number, name)
    }

    init(_ number: Int) { (self.number, description) = (number, "\(number)") }

    package static func == (one: TaskID, other: TaskID) -> Bool { one.description == other.description }

    package func hash(into hasher: inout Hasher) { hasher.combine(description) }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let number { try container.encode(number) } else { try container.encode(description) }
    }
}
