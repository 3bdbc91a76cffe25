import ArgumentParser
import Phi
import PhiCommandSupport
import PhiEval
import PhiFormat
import PhiJSON

/// `phi eval pairs`
struct EvalPairs: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pairs",
        abstract: "Measure how often a right completion is likelier than a wrong one.",
        discussion: """
            The file has a pair on each line: {"task_id", "prompt", "right", "wrong"}. A pair counts if the model gives "right" \
            a higher probability than "wrong", each as a whole; where prompt and completion exceed the context, the beginning is \
            left out. python -m phitools.experiment.pairs makes pairs from a problem \
            set: mutants of its solutions, which were run and fail.
            """)

    @OptionGroup var model: ModelOptions

    @Option(help: "The file of pairs, .jsonl or .jsonl.gz.")
    var pairs: FilePath

    @OptionGroup var options: SessionOptions

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let pairs = try CompletionPair.read(pairs)
        let model = try model.open()
        let session = try options.session(model)
        let results = try evaluate("pairs", model, each: pairs) { pair in
            let right = try CompletionLoss.measure(pair.right, after: pair.prompt, in: session)
            let wrong = try CompletionLoss.measure(pair.wrong, after: pair.prompt, in: session)
            return PairReport.Result(
                task_id: pair.task_id, right: right.bits, wrong: wrong.bits,
                truncated: right.isTruncated || wrong.isTruncated)
        }
        try Console.write(
            PairReport(model: model, session: session, pairs: self.pairs, results: results), json: json)
    }
}

/// A prompt with a right and a wrong completion: a line of a file of pairs.
private struct CompletionPair: Decodable {
    let task_id: TaskID
    let prompt: String
    let right: String
    let wrong: String

    static func read(_ path: FilePath) throws(FormatError) -> [CompletionPair] {
        var pairs: [CompletionPair] = []
        for line in try TextLines.read(path) {
            pairs.append(try JSONText.decode(Self.self, from: line.bytes, of: "\(path): line \(line.number)"))
        }
        guard !pairs.isEmpty else { throw FormatError(path, "holds no pair") }
        return pairs
    }
}

/// The report of `phi eval pairs`.
private struct PairReport: Report {
    /// A pair's result: the bits of both completions, and whether the beginning of one of the texts did not fit the context.
    struct Result: Encodable, Sendable {
        let task_id: TaskID
        let right: Double
        let wrong: Double
        let truncated: Bool
    }

    let model: LanguageModel
    let session: Session
    let pairs: FilePath
    let results: [Result]

    /// The share of pairs whose right completion is likelier.
    private var preferred: Estimate {
        var mean = RunningMean()
        for result in results { mean.add(result.right < result.wrong ? 1 : 0) }
        return mean.estimate
    }

    private var truncated: Int { results.filter(\.truncated).count }

    var text: String {
        """
        the right one of \(results.count) pairs is likelier: \(preferred.percent(2)); \(truncated) did not fit the \
        context of \(session.context)
        \(model.shown(session.cacheEncoding)); pairs \(pairs)

        """
    }

    var json: JSONObject {
        model.fields(session.cacheEncoding) + [
            "context": session.context, "pairs": results.count, "truncated": truncated,
            "preferred": preferred.value, "preferred_error": preferred.error, "results": results,
        ]
    }
}
