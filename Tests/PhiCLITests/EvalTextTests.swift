import Foundation
import PhiTestSupport
import Testing

/// `phi eval perplexity` and `phi eval kl`, against sums made here from the logits that `phi logits` writes.
@Suite struct EvalTextTests {
    /// The JSON output of both.
    private struct Report: Decodable {
        let perplexity: Double
        let perplexity_error: Double
        let windows: Int
        let context: Int
        let scored: Int
        let tokens: Int
        let `protocol`: String
        let base_perplexity: Double?
        let perplexity_ratio: Double?
        let mean_kl: Double?
        let mean_kl_error: Double?
        let median_kl: Double?
        let kl_99: Double?
        let max_kl: Double?
        let top1_agreement: Double?
        let probability_change_mean: Double?
        let probability_change_rms: Double?
    }

    private static let text = (0..<120).map { "for i in range(\($0)):\n    total += i * \($0 % 7)\n" }.joined()

    /// The log-probabilities after every token of a window and the tokens, by the command.
    private func window(_ folder: TemporaryFolder, _ type: String, _ ids: [Int]) throws -> [[Double]] {
        let path = try folder.write("ids.json", "\(ids)")
        let output = folder.at("logits.npy")
        #expect(try Command.run("logits", "-m", Models.path(type), "--ids", path, "-o", output).status == 0)
        let bytes = try readFile(output)
        let start = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
        return (0..<ids.count).map { row in
            let values = (0..<300).map { column in
                let at = start + 4 * (row * 300 + column)
                let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[at + $1]) << (8 * UInt32($1)) }
                return Double(Float(bitPattern: bits))
            }
            let most = values.max() ?? 0
            let sum = most + log(values.reduce(0) { $0 + exp($1 - most) })
            return values.map { $0 - sum }
        }
    }

    private func ids(_ folder: TemporaryFolder, _ text: String) throws -> [Int] {
        let outcome = try Command.run("tokenize", "-m", Models.path(), "--ids", input: Array(text.utf8))
        return try JSONDecoder().decode([Int].self, from: Data(outcome.output))
    }

    /// For each prediction of the first windows: log-probabilities by both models, and the token that follows.
    private func predictions(
        _ folder: TemporaryFolder, _ ids: [Int], context: Int, stride: Int?, windows: Int
    ) throws -> [(model: [Double], base: [Double], token: Int)] {
        try (0..<windows).flatMap { index in
            let start = index * (stride ?? context)
            let part = Array(ids[start..<start + context])
            let model = try window(folder, "q4", part)
            let base = try window(folder, "f32", part)
            let first = stride.map { context - $0 - 1 } ?? context / 2
            return (first..<context - 1).map { (model[$0], base[$0], part[$0 + 1]) }
        }
    }

    private func close(_ value: Double?, _ expected: Double, _ comment: Comment) {
        #expect(abs((value ?? .nan) - expected) <= 1e-9 * max(1, abs(expected)), comment)
    }

    @Test(arguments: [(64, nil, 3), (32, 8, 4), (5, nil, 7)])
    func measuresWhatItSays(_ context: Int, _ stride: Int?, _ windows: Int) throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("text.py", Self.text + "\n")
        // The file's last newline does not count.
        let rows = try predictions(folder, ids(folder, Self.text), context: context, stride: stride, windows: windows)
        let options =
            ["-f", file, "-c", "\(context)", "--chunks", "\(windows)", "--json"]
            + (stride.map { ["--stride", "\($0)"] } ?? [])
        let models = [try Models.path("q4"), try Models.path("f32")]

        let losses = rows.map { -$0.model[$0.token] }
        let mean = losses.reduce(0, +) / Double(losses.count)
        let square = losses.reduce(0) { $0 + $1 * $1 } / Double(losses.count)
        let plain = try Command.run(["eval", "perplexity", "-m", models[0]] + options).json(Report.self)
        #expect(plain.scored == rows.count && plain.windows == windows && plain.context == context)
        close(plain.perplexity, exp(mean), "perplexity")
        let error = exp(mean) * ((square - mean * mean) / Double(losses.count - 1)).squareRoot()
        #expect(abs(plain.perplexity_error - error) < 1e-6 * error)

        let kl = try Command.run(["eval", "kl", "-m", models[0], "--base", models[1]] + options).json(Report.self)
        let divergences = rows.map { row in zip(row.base, row.model).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) } }
        let baseLoss = rows.reduce(0) { $0 - $1.base[$1.token] } / Double(rows.count)
        close(kl.perplexity, exp(mean), "perplexity")
        close(kl.base_perplexity, exp(baseLoss), "base")
        close(kl.perplexity_ratio, exp(mean - baseLoss), "ratio")
        close(kl.mean_kl, divergences.reduce(0, +) / Double(rows.count), "mean")
        close(kl.max_kl, divergences.max() ?? 0, "maximum")
        let sorted = divergences.sorted()
        close(kl.median_kl, (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2, "median")
        #expect((kl.kl_99 ?? 0) <= (kl.max_kl ?? 0) && (kl.kl_99 ?? 0) >= (kl.median_kl ?? 0))
        let best = { (values: [Double]) in values.indices.max { values[$0] < values[$1] } }
        let agreements = rows.filter { best($0.model) == best($0.base) }.count
        close(kl.top1_agreement, Double(agreements) / Double(rows.count), "top")
        let changes = rows.map { exp($0.model[$0.token]) - exp($0.base[$0.token]) }
        close(kl.probability_change_mean, changes.reduce(0, +) / Double(rows.count), "change")
        let squares = changes.reduce(0) { $0 + $1 * $1 } / Double(rows.count)
        close(kl.probability_change_rms, squares.squareRoot(), "change")
        #expect((kl.mean_kl ?? 0) > 0)
    }

    @Test func storedLogitsAreAsGood() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("text.py", Self.text)
        let options = ["-f", file, "-c", "100", "--chunks", "3"]
        func run(_ arguments: String...) throws -> Outcome {
            let outcome = try Command.run(["eval"] + arguments + options)
            #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome.errorText)")
            return outcome
        }
        let (model, base) = (try Models.path("q4"), try Models.path("f32"))
        _ = try run("perplexity", "-m", base, "--save-logits", folder.at("a.npy"))
        let pair = try run("kl", "-m", model, "--base", base, "--save-logits", folder.at("b.npy"), "--json")
        #expect(try readFile(folder.at("a.npy")) == readFile(folder.at("b.npy")))
        let stored = try run("kl", "-m", model, "--base-logits", folder.at("a.npy"), "--json")
        let lines = { (outcome: Outcome) in
            outcome.outputText.split(separator: "\n").filter { !$0.contains("\"base\"") }
        }
        #expect(lines(pair) == lines(stored))
        // A model is no further from itself than nothing.
        let own = try run("kl", "-m", base, "--base-logits", folder.at("a.npy"), "--json").json(Report.self)
        #expect(own.max_kl == 0 && own.top1_agreement == 1 && own.perplexity_ratio == 1)
    }

    @Test func printsTextAndCurves() throws {
        struct Curves: Decodable {
            let windows: Int
            let perplexity: Double
            let perplexity_by_window: [Double]?
            let perplexity_by_window_error: [Double]?
            let max_kl: Double?
            let kl_quantile_fractions: [Double]?
            let kl_quantiles: [Double]?
        }
        let folder = try TemporaryFolder()
        let file = try folder.write("text.py", Self.text)
        let options = ["-m", try Models.path(), "-f", file, "-c", "128"]
        for command in [["perplexity"], ["kl", "--base", try Models.path("f16")]] {
            let outcome = try Command.run(["eval"] + command + options)
            #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome.errorText)")
            #expect(outcome.outputText.contains("windows of 128 tokens, the last 63 of each predicted"))
        }
        #expect(folder.names == ["text.py"])
        let course = try Command.run(["eval", "perplexity", "--json"] + options).json(Curves.self)
        #expect(course.perplexity_by_window?.count == course.windows && course.windows > 1)
        #expect(course.perplexity_by_window_error?.count == course.windows)
        #expect(course.perplexity_by_window?.last == course.perplexity)
        let kl = try Command.run(["eval", "kl", "--json", "--base", Models.path("f16")] + options).json(Curves.self)
        let quantiles = try #require(kl.kl_quantiles)
        #expect(quantiles.count == 103 && quantiles == quantiles.sorted() && quantiles.last == kl.max_kl)
        #expect(kl.kl_quantile_fractions?.count == 103 && kl.kl_quantile_fractions?.first == 0)
    }

    @Test func isTheSameByEveryWay() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("text.py", Self.text)
        let base = try Models.path("f16")
        func output(_ options: String..., environment: [String: String] = [:]) throws -> String {
            try Command.run(
                ["eval", "kl", "-m", Models.path(), "--base", base, "-f", file, "-c", "64", "--json"] + options,
                environment: environment
            ).outputText
        }
        let expected = try output()
        #expect(expected.contains("mean_kl"))
        for threads in ["1", "3"] { #expect(try output("-t", threads) == expected) }
        for name in try Command.instructionSets() { #expect(try output(environment: ["PHI_ISA": name]) == expected) }
    }

    @Test func refusesTokensThatDoNotFit() throws {
        let folder = try TemporaryFolder()
        let short = try folder.write("short.py", "x = 1\n")
        let file = try folder.write("text.py", Self.text)
        let model = try Models.path()
        expectRefusal(try Command.run("eval", "perplexity", "-m", model, "-f", short), "short.py: has ")
        expectRefusal(try Command.run("eval", "perplexity", "-m", model, "-f", file, "-c", "257"), "257")
        expectRefusal(try Command.run("eval", "perplexity", "-m", model, "-f", folder.at("none")), "none: no such file")
        expectWrongUsage(try Command.run("eval", "perplexity", "-f", file, "-c", "3"), "--context")
        expectWrongUsage(try Command.run("eval", "kl", "-m", model, "-f", file), "--base")
        expectRefusal(
            try Command.run("eval", "perplexity", "-m", model, "-f", file, "-c", "64", "--stride", "64"), "stride")
        let base = folder.at("base.npy")
        #expect(
            try Command.run(
                "eval", "perplexity", "-m", model, "-f", file, "-c", "64", "--chunks", "2", "--save-logits", base
            ).status == 0)
        let kl = ["eval", "kl", "-m", model, "-f", file, "-c", "64", "--base-logits"]
        expectRefusal(try Command.run(kl + [base]), "base.npy: holds 62 x 300 logits")
        expectRefusal(try Command.run(kl + [file]), "text.py: is not a .npy file")
        let bytes = try readFile(base)
        // A base that is very sure of another token once, so that its mean loss is so large, and one that gives no number.
        func stored(_ loss: Float) throws -> String {
            let count = 300
            let all = try Command.run(
                "eval", "perplexity", "-m", model, "-f", file, "-c", "64", "--save-logits", folder.at("all.npy"))
            try #require(all.status == 0)
            var content = try readFile(folder.at("all.npy"))
            let start = content.count - count * 4
            let values = [loss * Float(content.count / (4 * count))] + [Float](repeating: 0, count: count - 1)
            values.withUnsafeBytes { content.replaceSubrange(start..., with: $0) }
            return try folder.write("stored.npy", content)
        }
        expectRefusal(try Command.run(kl + [stored(.nan)]), "stored.npy: has logits that are not finite")
        for loss: Float in [32, 800] {  // a perplexity of more digits than an integer, and none that is finite
            let base = try stored(loss)
            let text = try Command.run(kl + [base])
            #expect(text.status == 0 && text.error.isEmpty && text.outputText.contains("base "), "\(text.errorText)")
            let json = try Command.run(kl + [base, "--json"])
            #expect(json.status == 0 && json.outputText.contains(#""base_perplexity""#), "\(json.errorText)")
        }
        for (name, damaged) in [
            ("cut", Array(bytes.dropLast())), ("long", bytes + [0]), ("head", Array(bytes[..<40])),
            ("type", bytes.map { $0 == UInt8(ascii: "4") ? UInt8(ascii: "8") : $0 }),
        ] {
            expectRefusal(try Command.run(kl + [folder.write("\(name).npy", damaged)]), "\(name).npy: ")
        }
        expectRefusal(
            try Command.run("eval", "kl", "-m", model, "-f", file, "--base", folder.at("none.phi")), "none.phi")
        let built = try Command.run("eval", "kl", "-f", file, "--base", model, "-c", "64")
        expectRefusal(built, "has other tokens than built-in model")
    }
}
