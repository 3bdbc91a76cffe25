import ArgumentParser
import Phi
import PhiCommandSupport
import PhiEval
import PhiFormat
import PhiJSON

/// `phi eval code-loss`
struct EvalCodeLoss: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "code-loss",
        abstract: "Measure the bits per byte of a problem set's own solutions, given their prompts.",
        discussion: """
            It tells models apart that solve no problem yet. Prompts are those of the problem set as it defines them, with all \
            checks that it shows. Prompt and solution are encoded as one text; where they exceed the context, the beginning is \
            left out. Bits per byte do not depend on the tokenizer, so models of different vocabularies compare.
            """)

    @Argument(help: "The problem set: \(Self.names.joined(separator: ", ")).")
    var set: String

    @OptionGroup var model: ModelOptions

    @Option(help: "The problem file, .jsonl, .jsonl.gz or a JSON array; not needed where one is built in.")
    var problems: FilePath?

    @Option(help: "Take only this many problems, the first ones.")
    var limit: Int?

    @OptionGroup var options: SessionOptions

    @Flag(help: "Print JSON.")
    var json = false

    private static let names = ProblemSets.all.map { $0.name.lowercased() }
    private var kind: (any ProblemSet.Type)? { ProblemSets.all.first { $0.name.lowercased() == set } }

    func validate() throws {
        guard let kind else {
            throw ValidationError("'\(set)' is no problem set; there are \(Self.names.joined(separator: ", ")).")
        }
        try requireProblems(problems, of: kind)
        if let limit, limit < 1 { throw ValidationError("--limit takes 1 or more.") }
    }

    func run() throws {
        guard let kind else { return }
        let all = try kind.read(problems, mode: .raw, promptTests: kind.promptTests?.standard ?? 0)
        let texts = try all.prefix(limit ?? all.count).map { problem in
            guard let reference = problem.reference else {
                throw FormatError(
                    kind.fileName(problems), "has no solution of \(problem.id), whose loss would be measured")
            }
            guard !reference.isEmpty else {
                throw FormatError(
                    kind.fileName(problems), "has an empty solution of \(problem.id), which has no bits per byte")
            }
            return (id: problem.id, prompt: problem.prompt, completion: reference)
        }
        let model = try model.open()
        let session = try options.session(model)
        let losses = try evaluate(set, model, each: texts) { text in
            try CompletionLoss.measure(
                text.completion.withPlainLineBreaks, after: text.prompt.withPlainLineBreaks, in: session)
        }
        try Console.write(
            CodeLossReport(
                model: model, session: session, set: kind.name, problems: kind.fileName(problems), all: all.count,
                losses: zip(texts.map(\.id), losses).map { .init(task_id: $0, loss: $1) }), json: json)
    }
}

extension String {
    /// The text with `\n` for every `\r\n`.
    var withPlainLineBreaks: String { replacing("\r\n", with: "\n") }
}

/// The report of `phi eval code-loss`.
private struct CodeLossReport: Report {
    /// A problem's result.
    struct Result: Encodable, Sendable {
        let task_id: TaskID
        let bits: Double
        let bytes: Int
        let tokens: Int
        let truncated: Bool

        init(task_id: TaskID, loss: CompletionLoss) {
            self.task_id = task_id
            (bits, bytes, tokens, truncated) = (loss.bits, loss.bytes, loss.tokens, loss.isTruncated)
        }
    }

    let model: LanguageModel
    let session: Session
    let set: String
    let problems: String
    let all: Int
    let losses: [Result]

    private func sum<Value: AdditiveArithmetic>(_ part: (Result) -> Value) -> Value {
        losses.reduce(.zero) { $0 + part($1) }
    }

    /// All bits over all bytes, with the standard error of this ratio over problems.
    private var bitsPerByte: Estimate {
        let bytes = Double(max(1, sum(\.bytes)))
        let value = sum(\.bits) / bytes
        var residuals = RunningMean()
        for loss in losses { residuals.add(loss.bits - value * Double(loss.bytes)) }
        return Estimate(value: value, error: residuals.estimate.error * Double(losses.count) / bytes)
    }

    private var truncated: Int { losses.filter(\.truncated).count }

    var text: String {
        """
        \(set): \(bitsPerByte.shown(4)) bits per byte; \(losses.count) of \(all) problems, \(sum(\.bytes)) bytes in \
        \(sum(\.tokens)) tokens; \(truncated) did not fit the context of \(session.context)
        \(model.shown(session.cacheEncoding)); problems \(problems)

        """
    }

    var json: JSONObject {
        model.fields(session.cacheEncoding) + [
            "benchmark": set, "context": session.context, "problems": losses.count, "truncated": truncated,
            "bits": sum(\.bits), "bytes": sum(\.bytes), "tokens": sum(\.tokens),
            "bits_per_byte": bitsPerByte.value, "bits_per_byte_error": bitsPerByte.error, "results": losses,
        ]
    }
}
