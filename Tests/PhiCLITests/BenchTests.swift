import Foundation
import Testing

/// `phi bench`: what it prints and takes, not how fast it is.
@Suite struct BenchTests {
    @Test func printsLlamaBenchsFields() throws {
        let outcome = try Command.run(
            "bench", "-m", Models.path(), "-p", "8", "-n", "2,3", "-pg", "4,2", "-d", "0,16", "-t", "1-2", "-r", "2",
            "-o",
            "json")
        #expect(outcome.status == 0 && outcome.error.isEmpty, "\(outcome.errorText)")
        let rows = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [[String: Any]])
        #expect(rows.count == 2 * 2 * 4)
        #expect(
            rows.prefix(4).map { $0["test"] as? String } == ["pp8", "tg2", "tg3", "pp4+tg2"]
                && rows.suffix(4).map { $0["test"] as? String } == [
                    "pp8 @ d16", "tg2 @ d16", "tg3 @ d16", "pp4+tg2 @ d16",
                ])
        for row in rows {
            let nanoseconds = try #require(row["samples_ns"] as? [Double])
            let rates = try #require(row["samples_ts"] as? [Double])
            let tokens = try #require(row["n_prompt"] as? Double) + #require(row["n_gen"] as? Double)
            #expect(nanoseconds.count == 2 && rates.count == 2)
            for (time, rate) in zip(nanoseconds, rates) { #expect(abs(tokens * 1e9 / time - rate) < 1e-6 * rate) }
            for name in ["avg_ns", "avg_ts", "median_ts", "read_gbps", "int8_tops", "load_s", "first_token_s"] {
                #expect(try #require(row[name] as? Double) > 0, "\(name)")
            }
            for name in ["stddev_ns", "stddev_ts"] { #expect(try #require(row[name] as? Double) >= 0, "\(name)") }
            let isDecode = row["n_prompt"] as? Int == 0
            #expect((row["read_share"] != nil) == isDecode)
            #expect((row["int8_share"] != nil) == (row["n_gen"] as? Int == 0))
        }
    }

    @Test func printsTables() throws {
        let few = ["bench", "-m", try Models.path(), "-p", "4", "-n", "0", "-r", "1", "-o"]
        let table = try Command.run(few + ["md"]).outputText.split(separator: "\n")
        #expect(table.count == 4 && table[0].hasPrefix("| model") && table[2].contains("pp4"))
        let csv = try Command.run(few + ["csv"]).outputText.split(separator: "\n").map {
            $0.split(separator: ",").count
        }
        #expect(csv.count == 2)
        let lines = try Command.run(few + ["jsonl"]).outputText.split(separator: "\n")
        #expect(lines.count == 1)
        #expect(try JSONSerialization.jsonObject(with: Data(lines[0].utf8)) is [String: Any])
    }

    @Test(arguments: [
        ["-p", "x"], ["-p", "9-3"], ["-n", "-1"], ["-t", "0"], ["-r", "0"], ["-pg", "1"], ["-o", "xml"],
    ])
    func refusesWrongUsage(_ arguments: [String]) throws {
        let outcome = try Command.run(["bench", "-m", try Models.path()] + arguments)
        #expect(outcome.status == 64 && outcome.output.isEmpty)
    }

    @Test func refusesMoreThanTheContext() throws {
        expectRefusal(try Command.run("bench", "-m", Models.path(), "-p", "257", "-n", "0", "-r", "1"), "257")
    }

    @Test(arguments: [("1,2,4", 3), ("1-4", 4), ("8-32*2", 3), ("10-30+10", 3), ("1,4-5", 3)])
    func takesListsAndRanges(_ text: String, _ count: Int) throws {
        let outcome = try Command.run("bench", "-m", Models.path(), "-p", text, "-n", "0", "-r", "1", "-o", "jsonl")
        #expect(outcome.outputText.split(separator: "\n").count == count)
    }
}
