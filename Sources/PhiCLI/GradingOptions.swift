import ArgumentParser
import Phi
import PhiCommandSupport
import PhiEval
import PhiFormat
import PhiSystem

/// The options of grades by a language model.
struct GradingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Also grade each completion from 0 to 10 by a language model behind this OpenAI-compatible server. Its key is read \
            from the environment variable \(ChatEndpoint.keyVariable).
            """,
            valueName: "url"))
    var endpoint: String?

    @Option(help: ArgumentHelp("The server's name of that model.", valueName: "name"))
    var grader: String?

    @Option(
        help: ArgumentHelp(
            """
            The file of grades to write or resume; what has a grade in it is not asked again. Without it, the problem set's \
            name and -grades.jsonl in this directory.
            """,
            valueName: "file"))
    var grades: FilePath?

    func validate() throws {
        guard (endpoint == nil) == (grader == nil) else {
            throw ValidationError("--endpoint and --grader need each other.")
        }
        if grades != nil, endpoint == nil { throw ValidationError("--grades needs --endpoint.") }
    }

    /// The grader; nil without an endpoint. Throws ``FormatError`` when it cannot be asked, or its file cannot be written.
    func grader(of problems: any ProblemSet.Type) throws -> Grader? {
        guard let endpoint, let grader else { return nil }
        let key = environment(ChatEndpoint.keyVariable)
        return Grader(
            try ChatEndpoint(endpoint, model: grader, key: key, agent: "phi/\(swiftPhiVersion)") { line in
                // In place of the progress bar.
                Console.error((Console.errorIsTerminal ? "\r\u{1B}[K" : "") + "phi: \(line.printable)\n")
            },
            try GradeFile(grades ?? FilePath("\(problems.name.lowercased())-grades.jsonl")))
    }
}

extension Grader.Unusable {
    /// A line for people about answers of a model.
    func shown(_ model: String) -> String {
        let said = first?.split(whereSeparator: \.isWhitespace).joined(separator: " ").shown
        return "\(count) \(count == 1 ? "answer" : "answers") of \(model) could not be used; the first one "
            + (said.map { "is \($0)" } ?? "was cut off, refused or empty")
    }
}

/// Throws a `ValidationError` when a problem set that is not built in has no file.
func requireProblems(_ path: FilePath?, of problems: any ProblemSet.Type) throws {
    guard path != nil || problems.builtIn != nil else {
        throw ValidationError("Missing expected argument '--problems <problems>'")
    }
}
