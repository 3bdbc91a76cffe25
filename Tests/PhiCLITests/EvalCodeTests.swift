import Foundation
import PhiTestSupport
import Testing

/// `phi eval humaneval` and `mbpp`: samples, scores, and what happens when a run is killed.
@Suite struct EvalCodeTests {
    private static let goldens = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Goldens/human-eval").path
    private static let problems = goldens + "/problems.jsonl"

    /// The command's JSON output, in part.
    private struct Report: Decodable {
        struct Result: Decodable {
            struct Sample: Decodable {
                let verdict: String
                let detail: String
            }
            let samples: [Sample]
        }
        let problems: Int
        let samples: Int
        let passed: Int
        let results: [Result]
    }

    /// A line of a samples file.
    private struct Sample: Decodable {
        let task_id: String
        let completion: String
        let sample: Int
        let seed: UInt64?
        let tokens: Int
        let stop_reason: String
    }

    /// Whether bubblewrap works here.
    static let hasSandbox: Bool = {
        let line = "bwrap --unshare-pid --ro-bind / / true 2>/dev/null || bwrap --unshare-user --ro-bind / / true"
        return (try? Command.shell(line).status == 0) ?? false
    }()
    static let needsSandbox: Comment = "bubblewrap does not work here, so no program is judged"

    private func samples(_ path: String) throws -> [Sample] {
        try String(decoding: readFile(path), as: UTF8.self).split(separator: "\n").map {
            try JSONDecoder().decode(Sample.self, from: Data($0.utf8))
        }
    }

    /// Arguments that make samples of the small problems; checks are ours, so no sandbox is needed to run them.
    private func making(_ output: String, _ options: String...) throws -> [String] {
        [
            "eval", "humaneval", "-m", try Models.path(), "--problems", Self.problems, "-o", output,
            "--allow-unsandboxed",
        ]
            + options
    }

    @Test(.enabled(if: hasSandbox, needsSandbox)) func scoresAsHumanEvalDoes() throws {
        let golden = try #require(
            JSONSerialization.jsonObject(with: Data(readFile(Self.goldens + "/scores.json"))) as? [String: Any])
        let outcome = try Command.run(
            "eval", "humaneval", "--problems", Self.problems, "--samples", Self.goldens + "/samples.jsonl", "-k",
            "1,2,5,8",
            "--json")
        #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome.errorText)")
        let report = try #require(JSONSerialization.jsonObject(with: Data(outcome.output)) as? [String: Any])
        let scores = try #require(golden["scores"] as? [String: Double])
        #expect(scores.count == 3)
        for (name, score) in scores { #expect(abs((report[name] as? Double ?? 9) - score) < 1e-12, "\(name)") }
        #expect(report["pass@8"] == nil)
        let expected = try #require(golden["passed"] as? [String: [Bool]])
        let results = try #require(report["results"] as? [[String: Any]])
        for result in results {
            let verdicts = (result["samples"] as? [[String: Any]])?.map { $0["verdict"] as? String == "passed" }
            #expect(verdicts == expected[result["task_id"] as? String ?? ""])
        }
        #expect(results.count == 4 && report["sandbox"] as? Bool == true)
        #expect((report["protocol"] as? String)?.contains("samples.jsonl") == true)
        #expect(report["timeout_seconds"] as? Double == 3 && report["timeout"] is Int)
    }

    @Test(.enabled(if: hasSandbox, needsSandbox), .enabled(if: testData != nil, needsTestData))
    func referenceSolutionsPass() throws {
        let data = try #require(testData)
        for (name, file, count) in [("humaneval", "HumanEval.jsonl.gz", 164), ("mbpp", "mbpp.jsonl", 500)] {
            let line = #"exec "$PHI" eval "$1" --problems "$2" --references --json"#
            let outcome = try Command.shell(line, name, data + "/" + file)
            let report = try outcome.json(Report.self)
            #expect(report.problems == count && report.passed == count, "\(outcome.outputText.suffix(2000))")
        }
    }

    /// Exercises whose compositions and families the built-in model's training never saw.
    @Test(.enabled(if: hasSandbox, needsSandbox)) func theBuiltInModelSolvesMostExercisesOfItsKind() throws {
        let folder = try TemporaryFolder()
        let exercises = repositoryFile("Tools/phitools/exercises/heldout.jsonl.gz")
        let outcome = try Command.run(
            "eval", "humaneval", "--problems", exercises, "--limit", "100", "-n", "200", "-o",
            folder.at("samples.jsonl"), "--json")
        let report = try outcome.json(Report.self)
        #expect(report.problems == 100 && report.passed > 80, "\(report.passed) of \(report.problems)")
    }

    @Test(arguments: [[], ["--temperature", "0.8", "--seed", "7", "-N", "3", "--top-p", "0.95"]])
    func samplesEqualCompletions(_ options: [String]) throws {
        let folder = try TemporaryFolder()
        let output = folder.at("samples.jsonl")
        let outcome = try Command.run(making(output, "-n", "24", "--prompt", "raw") + options)
        #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome.errorText)")
        #expect(outcome.outputText.contains("prompt raw, ") && outcome.outputText.contains("not sandboxed"))
        let temperature = options.isEmpty ? "0.0" : "0.8"
        let stated = ["temperature \(temperature)", "top-k 0", "top-p ", "min-p 0.0", "repeat-penalty 1.0"]
        for parameter in stated { #expect(outcome.outputText.contains(parameter), "\(parameter)") }
        let samples = try samples(output)
        #expect(samples.count == (options.isEmpty ? 4 : 12))
        #expect(samples.map(\.sample) == (0..<4).flatMap { _ in 0..<samples.count / 4 })
        for sample in samples {
            let name = sample.task_id.split(separator: "/")[1]
            let text =
                try String(contentsOfFile: Self.problems, encoding: .utf8).split(separator: "\n")
                .first { $0.contains("\"\(sample.task_id)\"") } ?? ""
            let problem = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
            let prompt = try #require(problem?["prompt"] as? String)
            #expect(prompt.contains("def \(name)("))
            let stops = ["\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\n```", "<file_sep>"]
            var arguments = ["complete", "-m", try Models.path(), "--json", "-n", "24", prompt]
            for stop in stops { arguments += ["--stop", stop] }
            if let seed = sample.seed { arguments += ["--temperature", "0.8", "--top-p", "0.95", "--seed", "\(seed)"] }
            let completed = try Command.run(arguments).json(Completed.self)
            #expect(completed.text == sample.completion && completed.ids.count == sample.tokens)
            #expect(completed.stop_reason == sample.stop_reason)
        }
        #expect(Set(samples.compactMap(\.seed)).count == (options.isEmpty ? 0 : 12))
        // Stripped prompts are others.
        let stripped = folder.at("stripped.jsonl")
        #expect(try Command.run(making(stripped, "-n", "24") + options).outputText.contains("prompt stripped, "))
        #expect(try readFile(stripped) != readFile(output))
    }

    @Test func batchesChangeNothing() throws {
        let folder = try TemporaryFolder()
        func bytes(_ options: String...) throws -> [UInt8] {
            let output = folder.at("\(options.joined()).jsonl")
            let arguments = try making(output, "-n", "40", "-N", "5", "--temperature", "1") + options
            #expect(try Command.run(arguments).status == 0)
            return try readFile(output)
        }
        let expected = try bytes("--batch", "1", "--threads", "1")
        #expect(expected.count > 20 * 40)
        for batch in ["2", "7", "16"] { #expect(try bytes("--batch", batch) == expected, "batches of \(batch)") }
    }

    @Test func resumesAfterAKill() throws {
        let folder = try TemporaryFolder()
        let whole = folder.at("whole.jsonl")
        let torn = folder.at("torn.jsonl")
        let settings = ["-n", "150", "--temperature", "0.9", "--batch", "4", "--json"]
        let options = settings + ["-N", "40"]
        let first = try Command.run(making(whole) + options)
        #expect(first.status == 0, "\(first.errorText)")
        var kills = 0
        var lines = 0
        while kills < 3 {
            let program = try Command.start(making(torn) + options)
            // As soon as there is more than last time.
            while program.isRunning, ((try? readFile(torn)) ?? []).filter({ $0 == 10 }).count < lines + 3 {
                usleep(1000)
            }
            guard program.isRunning else { break }
            program.signal(SIGKILL)
            _ = try program.wait()
            kills += 1
            var bytes = try readFile(torn)
            lines = bytes.filter { $0 == 10 }.count
            // What a kill in the middle of a write leaves.
            if bytes.last == 10 { bytes += Array(#"{"completion":"\n    ret"#.utf8) }
            try folder.write("torn.jsonl", bytes)
        }
        #expect(kills == 3 && lines < 160, "the run was over before it could be killed")
        let resumed = try Command.run(making(torn) + options)
        #expect(resumed.status == 0, "\(resumed.errorText)")
        #expect(try readFile(torn) == readFile(whole))
        #expect(resumed.output == first.output)
        // A finished run is only scored; a larger one is continued.
        #expect(try Command.run(making(torn) + options).output == first.output)
        let more = try Command.run(making(torn) + settings + ["-N", "41"]).json(Report.self)
        #expect(more.samples == 164)
        let fewer = try Command.run(making(torn) + settings + ["-N", "2", "--limit", "3"]).json(Report.self)
        #expect(fewer.samples == 6 && fewer.problems == 3)
        #expect(try samples(torn).count == 164)
    }

    @Test func keepsRunsApart() throws {
        let folder = try TemporaryFolder()
        let output = folder.at("samples.jsonl")
        #expect(try Command.run(making(output, "-n", "5")).status == 0)
        let bytes = try readFile(output)
        for options in [["-n", "6"], ["-n", "5", "--prompt", "raw"], ["-n", "5", "--temperature", "1"]] {
            expectRefusal(try Command.run(making(output) + options), "samples.jsonl: line 1: is of another run")
        }
        #expect(try readFile(output) == bytes)
        for foreign in ["precious text without an end", "precious\n", "[1]\n"] {
            try folder.write("samples.jsonl", foreign)
            expectRefusal(try Command.run(making(output, "-n", "5")), "samples.jsonl: ")
            #expect(try readFile(output) == Array(foreign.utf8))
        }
        expectRefusal(try Command.run(making(folder.at("none/samples.jsonl"))), "none/samples.jsonl: cannot be written")
        expectRefusal(try Command.run(making(folder.path)), "cannot be written")
    }

    @Test func aPromptThatIsTooLongIsAFailure() throws {
        let folder = try TemporaryFolder()
        let output = folder.at("samples.jsonl")
        let report = try Command.run(making(output, "-n", "5", "--context", "25", "--json")).json(Report.self)
        #expect(report.samples == 4)
        let reasons = try samples(output).map(\.stop_reason)
        #expect(reasons.contains("prompt_too_long"))
    }

    @Test func refusesBadFiles() throws {
        let folder = try TemporaryFolder()
        func run(_ problems: String, _ samples: String?) throws -> Outcome {
            let path = try folder.write("problems.jsonl", problems)
            let options = try samples.map { ["--samples", try folder.write("samples.jsonl", $0)] } ?? ["--references"]
            return try Command.run(["eval", "humaneval", "--problems", path, "--allow-unsandboxed"] + options)
        }
        let problem = #"{"task_id":"a","prompt":"p = 1\n","entry_point":"f","canonical_solution":"","test":""}"#
        let sample = #"{"task_id":"a","completion":""}"#
        expectRefusal(try run("", nil), "problems.jsonl: holds no problem of HumanEval")
        expectRefusal(try run("{}\n", nil), "problems.jsonl: line 1: has no")
        expectRefusal(try run(problem + "\n\nnonsense\n", nil), "problems.jsonl: line 3: is not")
        expectRefusal(try run(problem + "\n" + problem, nil), "line 2: has the task a again")
        expectRefusal(try run(problem, ""), "samples.jsonl: has no sample of a")
        expectRefusal(try run(problem, #"{"task_id":"b","completion":""}"#), "samples.jsonl: line 1: has no problem b")
        expectRefusal(
            try run(problem, sample + "\n" + #"{"task_id":"a"}"#), "samples.jsonl: line 2: has no 'completion'")
        #expect(try run(problem, "\n" + sample + "\n  \n").status == 0)
        let zipped = try folder.write("bad.jsonl.gz", [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3, 4])
        expectRefusal(
            try Command.run("eval", "mbpp", "--problems", zipped, "--references"), "bad.jsonl.gz: is a damaged")
        expectRefusal(
            try Command.run("eval", "mbpp", "--problems", folder.at("none.jsonl"), "--references"),
            "none.jsonl: no such file")
        for wrong in [
            ["-k", "0"], ["--limit", "0"], ["--batch", "1000"], ["-N", "0"], ["--prompt", "x"], ["--timeout", "0"],
        ] {
            #expect(
                try Command.run(["eval", "humaneval", "--problems", Self.problems, "--references"] + wrong).status == 64
            )
        }
        #expect(try Command.run("eval", "humaneval", "--problems", "x", "--samples", "y", "-o", "z").status == 64)
    }

    @Test func readsCompressedProblems() throws {
        let folder = try TemporaryFolder()
        let row =
            #"{"task_id":%,"text":"Say it.","code":"def f():\r\n  return 1","test_setup_code":"import math","test_list":["assert f() == 1","assert math.pi > 3"],"challenge_test_list":[]}"#
        let rows = [10, 11, 510, 511].map { row.replacing("%", with: "\($0)") }.joined(separator: "\n")
        let path = try folder.write("mbpp.jsonl", rows)
        #expect(try Command.shell(#"gzip -k "$1""#, path).status == 0)
        for name in [path, path + ".gz"] {
            let report = try Command.run(
                "eval", "mbpp", "--problems", name, "--references", "--allow-unsandboxed", "--json"
            ).json(Report.self)
            // Only the test split counts.
            #expect(report.problems == 2 && report.passed == 2)
        }
        let bytes = try readFile(path + ".gz")
        let cut = try folder.write("cut.jsonl.gz", Array(bytes.dropLast(12)))
        expectRefusal(try Command.run("eval", "mbpp", "--problems", cut, "--references"), "cut.jsonl.gz: is a damaged")
    }

    @Test func runsNothingWithoutASandbox() throws {
        let folder = try TemporaryFolder()
        let marker = folder.at("marker")
        let sample = #"{"task_id":"a","completion":"open('\#(marker)', 'w')\n"}"#
        let problem = #"{"task_id":"a","prompt":"","entry_point":"print","canonical_solution":"","test":""}"#
        let arguments = [
            "eval", "humaneval", "--problems", try folder.write("problems.jsonl", problem), "--samples",
            try folder.write("samples.jsonl", sample), "--python",
            try Command.shell("command -v python3").outputText.trimmingCharacters(in: .whitespacesAndNewlines),
        ]
        // No folder on the path, so no bubblewrap.
        let outcome = try Command.run(arguments, environment: ["PATH": folder.path])
        expectRefusal(outcome, "bwrap: no such program")
        #expect(outcome.errorText.contains("--allow-unsandboxed"))
        #expect(!folder.names.contains("marker"))
        // A bubblewrap that cannot make a sandbox is no better.
        try folder.write("bwrap", "#!/bin/sh\necho 'bwrap: Operation not permitted' >&2\nexit 1\n")
        #expect(try Command.shell(#"chmod +x "$1""#, folder.at("bwrap")).status == 0)
        let broken = try Command.run(
            arguments, environment: ["PATH": folder.path + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "")])
        expectRefusal(broken, "the sandbox did not start: bwrap: Operation not permitted")
        #expect(!folder.names.contains("marker"))
        #expect(try Command.run(arguments + ["--allow-unsandboxed"]).outputText.contains("not sandboxed"))
        #expect(folder.names.contains("marker"))
    }

    @Test func showsProgressOnATerminal() throws {
        let folder = try TemporaryFolder()
        let program = try Command.start(
            making(folder.at("samples.jsonl"), "-n", "30", "-N", "12", "--temperature", "1"), terminal: true)
        let outcome = try program.wait()
        #expect(outcome.status == 0)
        #expect(outcome.errorText.contains("samples [") && outcome.errorText.contains("checks ["))
    }

    @Test func anInterruptKeepsWhatIsThere() throws {
        let folder = try TemporaryFolder()
        let output = folder.at("samples.jsonl")
        let program = try Command.start(making(output, "-n", "150", "-N", "200", "--temperature", "1"))
        while program.isRunning, ((try? readFile(output)) ?? []).isEmpty { usleep(1000) }
        #expect(program.isRunning)
        program.signal(SIGINT)
        let outcome = try program.wait()
        #expect(outcome.status == 130 && outcome.output.isEmpty && outcome.error.isEmpty, "\(outcome.errorText)")
        #expect(try samples(output).count >= 1)
    }

    @Test(
        .enabled(if: hasSandbox, needsSandbox), .enabled(if: Nobody.canRun, Nobody.needed),
        .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/python3"), "needs /usr/bin/python3"))
    func holdsForOrdinaryUsersToo() throws {
        let folder = try TemporaryFolder()
        let rows = [
            "pass", "assert False",
            "import posix\\nwhile True:\\n    try:\\n        posix.fork()\\n    except OSError: pass",
            "import time\\ntime.sleep(100)", "x = bytearray(10 << 30)", "import posix\\nposix._exit(0)",
            "open('/usr/x', 'w')",
        ].map { #"{"task_id":"a","completion":"\#($0)\n"}"# }
        let problem =
            #"{"task_id":"a","prompt":"","entry_point":"print","canonical_solution":"","test":"def check(f): pass"}"#
        let problems = try folder.write("problems.jsonl", problem)
        let samples = try folder.write("samples.jsonl", rows.joined(separator: "\n"))
        for path in [problems, samples] {
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        }
        let options = "--python /usr/bin/python3 --timeout 12 --json"
        let line = #"exec "$PHI" eval humaneval --problems "$1" --samples "$2" \#(options)"#
        let outcome = try Nobody.run(line, problems, samples)
        let verdicts = try outcome.json(Report.self).results.first?.samples.map(\.verdict) ?? []
        #expect(verdicts.count == 7 && verdicts.first == "passed")
        #expect(verdicts.dropFirst().allSatisfy { $0 != "passed" }, "\(verdicts)")
    }
}
