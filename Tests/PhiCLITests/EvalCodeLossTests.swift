import Foundation
import PhiTestSupport
import Testing

/// `phi eval code-loss` and `phi eval pairs`, against Hugging Face's float32: Tools/golden/code_loss.py.
@Suite struct EvalCodeLossTests {
    private static let goldens = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Goldens/code-loss").path

    /// A problem's result, in the golden file and in the command's output.
    private struct Loss: Decodable {
        let bits: Double
        let bytes: Int
        let tokens: Int
        let truncated: Bool
    }

    private struct Pair: Decodable {
        let right: Double
        let wrong: Double
    }

    private struct Goldens: Decodable {
        let humaneval: [Loss]
        let mbpp: [Loss]
        let pairs: [Pair]
    }

    private struct LossReport: Decodable {
        let problems: Int
        let truncated: Int
        let bits: Double
        let bytes: Int
        let bits_per_byte: Double
        let bits_per_byte_error: Double
        let results: [Loss]
    }

    private struct PairReport: Decodable {
        let pairs: Int
        let preferred: Double
        let results: [Pair]
    }

    private func expected() throws -> Goldens {
        try JSONDecoder().decode(Goldens.self, from: Data(readFile(Self.goldens + "/losses.json")))
    }

    /// The model of the golden file.
    private func model() throws -> (workshop: Workshop, path: String) {
        let workshop = try Workshop()
        try #require(workshop.convert("--type", "f32").status == 0)
        return (workshop, workshop.output)
    }

    private func close(_ value: Double, _ expected: Double) -> Bool { abs(value - expected) < 1e-5 * expected }

    @Test func bitsAreThoseOfHuggingFace() throws {
        let (workshop, model) = try model()
        defer { withExtendedLifetime(workshop) {} }
        let goldens = try expected()
        for (set, losses) in [("humaneval", goldens.humaneval), ("mbpp", goldens.mbpp)] {
            let arguments = ["eval", "code-loss", set, "-m", model, "--problems", "\(Self.goldens)/\(set).jsonl"]
            let report = try Command.run(arguments + ["--json"]).json(LossReport.self)
            #expect(report.problems == losses.count && report.results.count == losses.count)
            for (result, golden) in zip(report.results, losses) {
                #expect(close(result.bits, golden.bits), "\(set): \(result.bits), \(golden.bits)")
                #expect(
                    result.bytes == golden.bytes && result.tokens == golden.tokens
                        && result.truncated == golden.truncated)
            }
            #expect(report.truncated == losses.filter(\.truncated).count)
            let (bits, bytes) = (report.results.reduce(0) { $0 + $1.bits }, report.results.reduce(0) { $0 + $1.bytes })
            #expect(report.bits_per_byte == bits / Double(bytes) && report.bytes == bytes)
            #expect(report.bits_per_byte_error > 0)
            let text = try Command.run(arguments).outputText
            #expect(text.contains("bits per byte; \(losses.count) of \(losses.count) problems"), "\(text)")
        }
    }

    @Test func pairsAreThoseOfHuggingFace() throws {
        let (workshop, model) = try model()
        defer { withExtendedLifetime(workshop) {} }
        let goldens = try expected()
        let arguments = ["eval", "pairs", "-m", model, "--pairs", Self.goldens + "/pairs.jsonl"]
        let report = try Command.run(arguments + ["--json"]).json(PairReport.self)
        for (result, golden) in zip(report.results, goldens.pairs) {
            #expect(close(result.right, golden.right) && close(result.wrong, golden.wrong))
        }
        let preferred = goldens.pairs.filter { $0.right < $0.wrong }.count
        #expect(0 < preferred && preferred < goldens.pairs.count)
        #expect(report.pairs == goldens.pairs.count && report.results.count == goldens.pairs.count)
        #expect(abs(report.preferred - Double(preferred) / Double(goldens.pairs.count)) < 1e-12)
        #expect(try Command.run(arguments).outputText.contains("of \(goldens.pairs.count) pairs is likelier"))
    }

    /// What a session holds from the problem before has no effect, nor have threads.
    @Test func resultsDoNotDependOnOrderOrThreads() throws {
        let folder = try TemporaryFolder()
        let lines = try String(decoding: readFile(Self.goldens + "/humaneval.jsonl"), as: UTF8.self)
            .split(separator: "\n")
        let turned = try folder.write("turned.jsonl", lines.reversed().joined(separator: "\n"))
        func bits(_ problems: String, _ options: String...) throws -> [Double] {
            try Command.run(
                ["eval", "code-loss", "humaneval", "-m", Models.path(), "--problems", problems, "--json"] + options
            ).json(LossReport.self).results.map(\.bits)
        }
        let expected = try bits(Self.goldens + "/humaneval.jsonl", "-t", "1")
        #expect(try bits(turned, "-t", "3") == expected.reversed())
        #expect(try bits(turned, "--limit", "2") == Array(expected.reversed().prefix(2)))
        #expect(try bits(turned, "-c", "1").count == expected.count)
    }

    @Test func refusesWhatIsNoSetOrPair() throws {
        let folder = try TemporaryFolder()
        let model = try Models.path()
        let problems = Self.goldens + "/humaneval.jsonl"
        expectWrongUsage(
            try Command.run("eval", "code-loss", "apps", "--problems", problems), "'apps' is no problem set")
        expectWrongUsage(
            try Command.run("eval", "code-loss", "humaneval", "--problems", problems, "--limit", "0"), "--limit")
        expectRefusal(
            try Command.run("eval", "code-loss", "mbpp", "-m", model, "--problems", problems),
            "humaneval.jsonl: line 1")
        let bare = try folder.write(
            "bare.jsonl", #"{"task_id": "a", "prompt": "p", "entry_point": "f", "test": ""}"#)
        expectRefusal(
            try Command.run("eval", "code-loss", "humaneval", "-m", model, "--problems", bare),
            "bare.jsonl: has no solution of a")
        for (name, text, fault) in [
            ("empty.jsonl", "\n", "holds no pair"),
            ("other.jsonl", #"{"task_id": 1, "prompt": "", "right": ""}"#, "line 1"),
            ("text.jsonl", "pairs\n", "line 1: is not JSON"),
        ] {
            let path = try folder.write(name, text)
            expectRefusal(try Command.run("eval", "pairs", "-m", model, "--pairs", path), "\(name): \(fault)")
        }
    }
}
