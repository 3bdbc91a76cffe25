import Phi
import PhiCommandSupport
import PhiEval
import PhiFormat
import PhiJSON

/// The verdicts of a problem's samples.
struct CodeResult: Encodable, Sendable {
    struct Sample: Encodable, Sendable {
        let verdict: String
        let detail: String
        let stop_reason: String?
        let grade: Int?
        let explanation: String?

        init(_ verdict: Verdict, _ grade: Grade?, stop_reason: String?) {
            (self.verdict, detail, self.stop_reason) = (verdict.name, verdict.detail, stop_reason)
            (self.grade, explanation) = (grade?.grade, grade?.explanation)
        }
    }

    let task_id: TaskID
    var samples: [Sample] = []

    var passes: [Bool] { samples.map { $0.verdict == "passed" } }
}

/// The grades of a report: their mean with its standard error over problems, and the means of the samples that passed and of the others.
private struct GradeSummary {
    private(set) var count = 0
    private var all = RunningMean(), passed = RunningMean(), others = RunningMean()

    init(_ results: [CodeResult]) {
        for result in results {
            var mean = RunningMean()
            for case (let sample, let grade?) in result.samples.map({ ($0, $0.grade) }) {
                count += 1
                mean.add(Double(grade))
                if sample.verdict == "passed" { passed.add(Double(grade)) } else { others.add(Double(grade)) }
            }
            if mean.count > 0 { all.add(mean.estimate.value) }
        }
    }

    var mean: Estimate? { all.count > 0 ? all.estimate : nil }
    var ofPassed: Double? { passed.count > 0 ? passed.estimate.value : nil }
    var ofOthers: Double? { others.count > 0 ? others.estimate.value : nil }
}

/// The report of `phi eval` on a problem set.
struct CodeReport: Report {
    let benchmark: String
    let model: String?
    let `protocol`: String
    let sandbox: Bool
    let timeout: Double
    /// The name of the model that graded.
    let grader: String?
    let results: [CodeResult]
    let k: [Int]

    /// Scores and the numbers of verdicts are keys of the top level: `pass@1`, `timeout`.
    var json: JSONObject {
        let counts = Self.verdicts.map { ($0, count($0) as JSONObject.Value) }
        let rates = k.map { ("pass@\($0)", rate($0) as JSONObject.Value) }
        let grades = GradeSummary(results)
        return [
            "benchmark": benchmark, "model": model, "protocol": `protocol`, "sandbox": sandbox,
            "timeout_seconds": timeout,
            "problems": results.count, "samples": count, "results": results, "grader": grader,
            "graded": grader == nil ? nil : grades.count, "grade": grades.mean?.value,
            "grade_error": grades.mean?.error,
            "grade_passed": grades.ofPassed, "grade_not_passed": grades.ofOthers,
        ] + JSONObject(counts + rates)
    }

    private static let verdicts = ["passed", "failed", "timeout", "error"]

    private var count: Int { results.reduce(0) { $0 + $1.samples.count } }

    private func count(_ verdict: String) -> Int {
        results.reduce(0) { $0 + $1.samples.filter { $0.verdict == verdict }.count }
    }

    private func rate(_ k: Int) -> Double? { PassRate.mean(results.map(\.passes), k: k) }

    /// A line for each problem, then the scores.
    var text: String {
        let width = results.map(\.task_id.description.printable.count).max() ?? 0
        var lines = results.map { result in
            let name = result.task_id.description.printable
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
        if let grader {
            let grades = GradeSummary(results)
            let parts = [("passed", grades.ofPassed), ("not passed", grades.ofOthers)].compactMap { name, grade in
                grade.map { "; \(name) \($0.fixed(2))" }
            }
            lines.append(
                "grade \(grades.mean?.shown(2) ?? "-") of 10\(parts.joined()); \(grades.count) of \(count) samples graded by \(grader)"
            )
        }
        lines.append("protocol: \(`protocol`); \(timeout.fixed(1)) s" + (model.map { "; model \($0)" } ?? ""))
        return lines.joined(separator: "\n") + "\n"
    }

    /// The only sample's verdict, or the number that passed and the first verdict that is not `passed`.
    private static func shown(_ result: CodeResult) -> String {
        func shown(_ sample: CodeResult.Sample) -> String {
            sample.verdict + (sample.grade.map { ", grade \($0)" } ?? "")
                + (sample.detail.isEmpty ? "" : ": \(sample.detail)")
        }
        if result.samples.count == 1, let only = result.samples.first { return shown(only) }
        let wrong = result.samples.first { $0.verdict != "passed" }.map { "; " + shown($0) } ?? ""
        return "\(result.passes.filter { $0 }.count) of \(result.samples.count) passed" + wrong
    }
}
