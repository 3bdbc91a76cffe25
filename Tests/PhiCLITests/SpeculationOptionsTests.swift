import Foundation
import PhiTestSupport
import Testing

/// The options of speculation and `phi bench --replay`: results, refusals, fields; not speed.
@Suite struct SpeculationOptionsTests {
    private static let prompt = "def f(x):\n    return x\n\ndef f(x):\n"

    @Test(arguments: [[], ["--temperature", "1", "--seed", "3"], ["--repeat-penalty", "1.2"]])
    func completionsAreTheSame(_ sampling: [String]) throws {
        let folder = try TemporaryFolder()
        func complete(_ options: [String]) throws -> Completed {
            try Command.run(
                ["complete", "-m", Models.path(), "--json", "-n", "100", Self.prompt] + sampling + options
            ).json(Completed.self)
        }
        let expected = try complete(["--no-speculate"])
        try folder.write("corpus.txt", Self.prompt + expected.text)
        try Data([0xFF, 0xFE, 0, 10]).write(to: URL(filePath: folder.at("bytes")))
        try folder.write("empty", "")
        for options in [
            [], ["--draft-corpus", folder.at("corpus.txt")], ["--draft-corpus", folder.at("bytes")],
            ["--draft-corpus", folder.at("empty")], ["--draft-model", try Models.path("q8")],
            ["--draft-model", try Models.path(), "--draft-corpus", folder.at("corpus.txt")],
        ] {
            let made = try complete(options)
            #expect(made.text == expected.text && made.ids == expected.ids, "\(options)")
        }
    }

    @Test func refusals() throws {
        let folder = try TemporaryFolder()
        let model = try Models.path()
        func refused(_ options: String...) throws -> Outcome {
            try Command.run(["complete", "-m", model, "x"] + options)
        }
        expectRefusal(try refused("--draft-corpus", folder.at("none.txt")), "none.txt")
        expectRefusal(try refused("--draft-model", folder.at("none.phi")), "none.phi")
        // The built-in model has another tokenizer.
        expectRefusal(try Command.run("complete", "--draft-model", model, "x"), "another tokenizer")
        try Data(count: 1 << 24 + 1).write(to: URL(filePath: folder.at("long")))
        expectRefusal(try refused("--draft-corpus", folder.at("long")), "long")
        for option in ["--draft-corpus", "--draft-model"] {
            expectWrongUsage(try refused("--no-speculate", option, "x"), "--no-speculate excludes")
        }
    }

    @Test func replays() throws {
        let folder = try TemporaryFolder()
        let line = #"{"prompt": "def f(x):\n", "completion": "    return x\n    return x\n    return x\n", "more": 1}"#
        try folder.write("texts.jsonl", line + "\n\n" + #"{"prompt": "", "completion": "x = 1\ny = 1\n"}"# + "\n")
        func run(_ options: String...) throws -> Outcome {
            try Command.run(["bench", "-m", Models.path(), "--replay", folder.at("texts.jsonl"), "-r", "2"] + options)
        }
        let outcome = try run("-o", "json", "-t", "1,2")
        #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome.errorText)")
        let rows = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [[String: Any]])
        #expect(rows.count == 2)
        for row in rows {
            #expect(row["n_texts"] as? Int == 2 && row["n_skipped"] as? Int == 0)
            #expect(try #require(row["n_gen"] as? Int) > 20)
            #expect((row["completions"] as? String)?.hasPrefix("recorded") == true)
            for name in ["plain_ts", "median_ts", "gain"] { #expect(try #require(row[name] as? Double) > 0) }
            #expect((row["samples_ts"] as? [Double])?.count == 2 && (row["plain_samples_ts"] as? [Double])?.count == 2)
            #expect(try #require(row["accepted_tokens"] as? Double) <= #require(row["drafted_tokens"] as? Double))
            // What was not timed is null.
            let costs = try #require(row["step_costs"] as? [Any])
            #expect(costs.first as? Double == 1 && costs.count == 16 && costs.last is NSNull)
        }
        let plain = try run("-o", "jsonl", "--no-speculate", "-t", "1")
        let row = try #require(try JSONSerialization.jsonObject(with: Data(plain.output)) as? [String: Any])
        #expect(row["median_ts"] == nil && row["gain"] == nil && row["plain_ts"] is Double)
        #expect(try run().outputText.contains("as if the model had chosen them"))
        let csv = try run("-o", "csv", "-t", "1").outputText.split(separator: "\n")
        #expect(csv.count == 2 && csv[0].split(separator: ",").contains("gain"))
    }

    @Test func replaysThatAreRefused() throws {
        let folder = try TemporaryFolder()
        for (content, fault) in [
            ("", "has no text"), ("x\n", "line 1"), (#"{"prompt": "x"}"#, "completion"),
            (#"{"prompt": "x", "completion": "y"}"# + "\n[]\n", "line 2"),
            (#"{"prompt": "x", "completion": ""}"#, "has no completion of two tokens"),
            (#"{"prompt": "x", "completion": 1}"#, "completion"),
        ] {
            try folder.write("texts.jsonl", content)
            expectRefusal(
                try Command.run(
                    "bench", "-m", Models.path(), "--replay", folder.at("texts.jsonl"), "-r", "1", "-o", "jsonl"),
                fault, "\(content)")
        }
        expectRefusal(try Command.run("bench", "--replay", folder.at("none")), "none")
        // Before anything is timed.
        try folder.write("good.jsonl", #"{"prompt": "x = ", "completion": "1\ny = 2\n"}"#)
        let files = ["--replay", folder.at("good.jsonl"), "--replay", folder.at("none")]
        expectRefusal(try Command.run(["bench", "-r", "1", "-o", "json"] + files), "none")
        expectWrongUsage(try Command.run("bench", "--no-speculate"), "--replay")
        for options in [["-p", "9"], ["-n", "7"], ["-pg", "1,2"], ["-d", "1"], ["--no-warmup"]] {
            let outcome = try Command.run(["bench", "--replay", folder.at("texts.jsonl")] + options)
            expectWrongUsage(outcome, options[0] + " is not for --replay")
        }
        expectWrongUsage(try Command.run("bench", "--replay", folder.at("texts.jsonl"), "-o", "sql"), "sql")
    }
}
