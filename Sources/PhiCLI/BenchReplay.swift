import Phi
import PhiBench
import PhiCommandSupport
import PhiEval
import PhiFormat
import PhiJSON

/// The part of `phi bench` that decodes recorded completions.
struct ReplayCases {
    let files: [FilePath]
    let repetitions: Int
    let speculation: SpeculationOptions

    /// A line of a replay file; other keys are ignored.
    private struct Line: Decodable {
        let prompt, completion: String
    }

    /// Reads all that ``run(_:threads:into:)`` needs, and throws what it would.
    func check(_ model: LanguageModel) throws {
        _ = try speculation.speculation(model)
        for file in files { _ = try texts(of: file, model) }
    }

    /// The texts of a file, and the number of those that are left out.
    private func texts(of file: FilePath, _ model: LanguageModel) throws -> (texts: [ReplayText], skipped: Int) {
        let lines = try TextLines.read(file).map { line in
            try JSONText.decode(Line.self, from: line.bytes, of: "\(file): line \(line.number)")
        }
        guard !lines.isEmpty else { throw FormatError(file, "has no text") }
        let texts = lines.compactMap { ReplayText(prompt: $0.prompt, completion: $0.completion, of: model) }
        guard !texts.isEmpty else {
            throw FormatError(file, "has no completion of two tokens or more that fits the model's context")
        }
        return (texts, lines.count - texts.count)
    }

    /// Times the files' texts with `model` and adds a row for each file and number of threads.
    func run(_ model: LanguageModel, threads: [Int], into report: inout ReplayReport) throws {
        let speculation = try speculation.speculation(model)
        for file in files {
            let (texts, skipped) = try texts(of: file, model)
            for threads in threads {
                let benchmark = try ReplayBenchmark(model, threads: threads, speculation: speculation)
                let result = try benchmark.run(texts, repetitions: repetitions) { number in
                    if Console.errorIsTerminal {
                        Console.error("\r\u{1B}[K\(file), text \(number + 1) of \(texts.count)")
                    }
                }
                if Console.errorIsTerminal { Console.error("\r\u{1B}[K") }
                try report.add(
                    ReplayRecord(
                        file: file, skipped: skipped, model: model, threads: threads, result: result))
            }
        }
    }
}

/// A row of the report.
struct ReplayRecord {
    let file: FilePath
    /// Texts of whose completion not even two tokens fit the model's context, or that have no two.
    let skipped: Int
    let model: LanguageModel
    let threads: Int
    let result: ReplayResult

    var fields: [(name: String, value: BenchmarkRecord.Value)] {
        let (plain, rates, drafts) = (result.plainRates, result.rates, result.drafts)
        let repetitions = Double(max(1, plain.count))
        return [
            ("build_commit", .text(swiftPhiVersion)),
            ("cpu_info", .text(ProcessorName.current)),
            ("instruction_set", .text(model.kernels.name)),
            ("model_filename", .text(model.file.path)),
            ("model_type", .text(model.typeName)),
            ("n_threads", .whole(threads)),
            ("replay", .text(file.description)),
            ("completions", .text(ReplayReport.note)),
            ("n_texts", .whole(result.texts)),
            ("n_skipped", .whole(skipped)),
            ("n_prompt", .whole(result.promptTokens)),
            ("n_gen", .whole(result.tokens)),
            ("plain_ts", .number(median(plain), digits: 4)),
            ("plain_samples_ts", .list(plain)),
            ("median_ts", .number(rates.isEmpty ? nil : median(rates), digits: 4)),
            ("samples_ts", .list(rates.isEmpty ? nil : rates)),
            ("gain", .number(result.gain, digits: 4)),
            ("drafted_tokens", .number(Double(drafts.drafted) / repetitions, digits: 1)),
            ("accepted_tokens", .number(Double(drafts.accepted) / repetitions, digits: 1)),
            ("step_costs", .list(result.stepCosts)),
        ]
    }
}

/// Prints records of replays.
struct ReplayReport {
    /// What every report says of its completions.
    static let note = "recorded: decoded as if the model had chosen them"
    private let format: BenchmarkFormat
    private var count = 0

    init(_ format: BenchmarkFormat) { self.format = format }

    mutating func add(_ record: ReplayRecord) throws {
        defer { count += 1 }
        switch format {
        case .md, .sql:
            if count == 0 {
                try Console.write("| \(Self.columns.map(\.name).joined(separator: " | ")) |\n")
                try Console.write("|\(String(repeating: "---|", count: Self.columns.count))\n")
            }
            try Console.write("| \(Self.columns.map { $0.cell(record).printable }.joined(separator: " | ")) |\n")
        case .csv, .json, .jsonl:
            try format.write(record.fields, after: count)
        }
    }

    func finish() throws {
        try format.finish(after: count)
        if format == .md {
            try Console.write("\ncompletions \(Self.note); prefill is not timed; t/s: median of the repetitions\n")
        }
    }

    private static let columns: [(name: String, cell: @Sendable (ReplayRecord) -> String)] = [
        ("model", { $0.model.typeName }),
        ("threads", { "\($0.threads)" }),
        ("replay", { $0.file.description }),
        ("texts", { "\($0.result.texts)" }),
        ("tokens", { "\($0.result.tokens)" }),
        ("t/s without speculation", { median($0.result.plainRates).fixed(2) }),
        ("t/s", { $0.result.rates.isEmpty ? "" : median($0.result.rates).fixed(2) }),
        ("gain", { $0.result.gain?.fixed(3) ?? "" }),
        ("drafted", { "\($0.result.drafts.drafted / max(1, $0.result.plainRates.count))" }),
        ("accepted", { "\($0.result.drafts.accepted / max(1, $0.result.plainRates.count))" }),
        (
            "cost of 2, 4, 8 rows",
            { record in
                let costs = record.result.stepCosts
                return costs.isEmpty ? "" : [2, 4, 8].map { costs[$0 - 1]?.fixed(2) ?? "-" }.joined(separator: ", ")
            }
        ),
    ]
}
