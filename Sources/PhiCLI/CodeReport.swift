import Phi
import PhiCommandSupport
import PhiEval
import Synchronization

/// The verdicts of a problem's samples.
struct CodeResult: Encodable {
    struct Sample: Encodable {
        let verdict: String
        let detail: String
        let stop_reason: String?
    }

    let task_id: TaskID
    var samples: [Sample] = []

    var passes: [Bool] { samples.map { $0.verdict == "passed" } }
}

/// The report of `phi eval` on a problem set.
struct CodeReport: Report {
    let benchmark: String
    let model: String?
    let `protocol`: String
    let sandbox: Bool
    let timeout: Double
    let results: [CodeResult]
    let k: [Int]

    private struct Key: CodingKey {
        let stringValue: String
        let intValue: Int? = nil

        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// Scores are keys of the top level: `pass@1`.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(benchmark, forKey: Key("benchmark"))
        try container.encodeIfPresent(model, forKey: Key("model"))
        try container.encode(`protocol`, forKey: Key("protocol"))
        try container.encode(sandbox, forKey: Key("sandbox"))
        try container.encode(timeout, forKey: Key("timeout"))
        try container.encode(results.count, forKey: Key("problems"))
        try container.encode(count, forKey: Key("samples"))
        for name in Self.verdicts { try container.encode(count(name), forKey: Key(name)) }
        for k in k { try container.encodeIfPresent(rate(k), forKey: Key("pass@\(k)")) }
        try container.encode(results, forKey: Key("results"))
    }

    private static let verdicts = ["passed", "failed", "timeout", "error"]

    private var count: Int { results.reduce(0) { $0 + $1.samples.count } }

    private func count(_ verdict: String) -> Int {
        results.reduce(0) { $0 + $1.samples.filter { $0.verdict == verdict }.count }
    }

    private func rate(_ k: Int) -> Double? { PassRate.mean(results.map(\.passes), k: k) }

    /// A line for each problem, then the scores.
    var text: String {
        let width = results.map(\.task_id.description.count).max() ?? 0
        var lines = results.map { result in
            let name = result.task_id.description
            return name + String(repeating: " ", count: width - name.count + 2) + Self.shown(result)
        }
        for k in k {
            lines.append(
                rate(k).map { "pass@\(k) \(($0 * 100).fixed(2)) %" }
                    ?? "pass@\(k) needs \(k) samples of each problem")
        }
        lines.append(
            "\(count) samples: " + Self.verdicts.map { "\(count($0)) \($0)" }.joined(separator: ", ")
                + (sandbox ? "" : "; not sandboxed"))
        lines.append("protocol: \(`protocol`); \(timeout.fixed(1)) s" + (model.map { "; model \($0)" } ?? ""))
        return lines.joined(separator: "\n") + "\n"
    }

    /// The only sample's verdict, or the number that passed and the first verdict that is not `passed`.
    private static func shown(_ result: CodeResult) -> String {
        func shown(_ sample: CodeResult.Sample) -> String {
            sample.detail.isEmpty ? sample.verdict : "\(sample.verdict): \(sample.detail)"
        }
        if result.samples.count == 1, let only = result.samples.first { return shown(only) }
        let wrong = result.samples.first { $0.verdict != "passed" }.map { "; " + shown($0) } ?? ""
        return "\(result.passes.filter { $0 }.count) of \(result.samples.count) passed" + wrong
    }
}

/// A progress bar shared by several threads.
final class JudgingProgress: Sendable {
    private let bar = Mutex(ProgressBar("checks"))
    private let total: Int

    init(total: Int) { self.total = total }

    /// Shows that `done` programs are judged; returns whether to continue.
    func update(_ done: Int) -> Bool {
        bar.withLock { $0.update(Double(done) / Double(max(1, total))) }
        return !Interrupt.isNoted
    }

    func finish() { bar.withLock { $0.finish() } }
}
