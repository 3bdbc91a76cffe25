import Foundation
import PhiTestSupport
import Testing

/// Options and output of `phi bench`, not its speed.
@Suite struct BenchTests {
    /// Before hours of measuring, not after; and an empty name is not the built-in model.
    @Test func refusesWhatCannotBeTimed() throws {
        expectRefusal(
            try Command.run("bench", "-p", "8,99999", "-n", "0", "-d", "0,16", "-o", "json"),
            "has a context of 1024 tokens; pp99999 needs 99999")
        for name in ["", ",", "a.phi,"] { expectRefusal(try Command.run("bench", "-m", name), "no such file") }
    }

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
            for name in [
                "avg_ns", "avg_ts", "median_ts", "read_gbps", "int8_tops", "load_s", "first_token_in_process_s",
                "model_size", "model_n_params", "kv_cache_bytes",
            ] {
                #expect(try #require(row[name] as? Double) > 0, "\(name)")
            }
            for name in ["build_commit", "cpu_info", "backends", "model_filename", "model_type", "test_time"] {
                #expect(row[name] is String, "\(name)")
            }
            #expect(try #require(row["load_s"] as? Double) < #require(row["first_token_in_process_s"] as? Double))
            for name in ["stddev_ns", "stddev_ts"] { #expect(try #require(row[name] as? Double) >= 0, "\(name)") }
            let isDecode = row["n_prompt"] as? Int == 0
            #expect((row["read_share"] != nil) == isDecode)
            #expect((row["int8_share"] != nil) == (row["n_gen"] as? Int == 0))
            try checkMeaning(row, nanoseconds, rates)
        }
    }

    /// Derived fields: means, the deviation of a sample, and the share of the read rate that
    /// the bytes of a token took.
    private func checkMeaning(_ row: [String: Any], _ nanoseconds: [Double], _ rates: [Double]) throws {
        func value(_ name: String) throws -> Double { try #require(row[name] as? Double) }
        func isClose(_ a: Double, _ b: Double) -> Bool { abs(a - b) <= 1e-6 * max(abs(a), abs(b)) }
        let mean = (nanoseconds[0] + nanoseconds[1]) / 2
        #expect(isClose(try value("avg_ns"), mean))
        #expect(isClose(try value("avg_ts"), (rates[0] + rates[1]) / 2))
        #expect(isClose(try value("stddev_ns"), abs(nanoseconds[0] - nanoseconds[1]) / 2.0.squareRoot()))
        guard row["n_prompt"] as? Int == 0 else { return }
        let share = try value("avg_ts") * value("bytes_per_token") / (value("read_gbps") * 1e9)
        #expect(isClose(try value("read_share"), share))
    }

    /// At depth, a token also reads the keys and values of the positions before it.
    @Test func depthIsPartOfWhatATokenReads() throws {
        let outcome = try Command.run(
            "bench", "-m", Models.path(), "-p", "0", "-n", "4", "-d", "0,64", "-r", "1", "--no-warmup", "-o", "jsonl")
        let rows = try outcome.outputText.split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
        #expect(rows.count == 2)
        let bytes = try rows.map { try #require($0["bytes_per_token"] as? Double) }
        // 4 positions are a block of 64, 68 are two.
        let perPosition = try zip(rows, [64.0, 128]).map { try #require($0.0["kv_cache_bytes"] as? Double) / $0.1 }
        #expect(perPosition[0] == perPosition[1])
        #expect(bytes[1] - bytes[0] == 64 * perPosition[0])
    }

    @Test func timesEveryKernel() throws {
        let outcome = try Command.run(
            "bench", "kernels", "-p", "1", "-r", "1", "-t", "2", "--operation", "gelu", "-o", "json")
        #expect(outcome.status == 0, "\(outcome.errorText)")
        let rows = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [[String: Any]])
        #expect(!rows.isEmpty)
        for row in rows {
            #expect(row["operation"] as? String == "gelu" && row["shape"] as? String == "8192, 1 tokens")
            #expect(try #require(row["median_ns"] as? Double) > 0 && #require(row["gbps"] as? Double) > 0)
        }
        let table = try Command.run("bench", "kernels", "-p", "1", "-r", "1", "--operation", "store_f16").outputText
        #expect(table.hasPrefix("| operation") && table.contains("| store_f16 | 32 x 64, 1 tokens at depth 1024 |"))
        expectWrongUsage(try Command.run("bench", "kernels", "--operation", "x"), "not x")
        expectWrongUsage(try Command.run("bench", "kernels", "--isa", "sse9"), "not sse9")
    }

    @Test func printsTables() throws {
        let few = ["bench", "-m", try Models.path(), "-p", "4", "-n", "0", "-r", "1", "-o"]
        let table = try Command.run(few + ["md"]).outputText.split(separator: "\n")
        #expect(table.count == 5 && table[0].hasPrefix("| model") && table[2].contains("pp4"))
        #expect(table.allSatisfy { $0.count <= 100 })
        let csv = try Command.run(few + ["csv"]).outputText.split(separator: "\n").map {
            $0.split(separator: ",").count
        }
        #expect(csv.count == 2)
        let lines = try Command.run(few + ["jsonl"]).outputText.split(separator: "\n")
        #expect(lines.count == 1)
        #expect(try JSONSerialization.jsonObject(with: Data(lines[0].utf8)) is [String: Any])
    }

    /// As case 27 of public bug reports: every model that is named is timed.
    @Test func timesSeveralModels() throws {
        let folder = try TemporaryFolder()
        let (a, b) = (folder.at("a.phi"), folder.at("b,c.phi"))
        for path in [a, b] { try FileManager.default.copyItem(atPath: Models.path(), toPath: path) }
        for models in [["-m", a, "-m", b], ["-m", b, "--model", a], ["-m", "\(a),\(a)"], ["-m", b]] {
            let arguments = ["bench"] + models + ["-p", "4", "-n", "0", "-r", "1", "-o", "jsonl"]
            let lines = try Command.run(arguments).outputText.split(separator: "\n")
            #expect(lines.count == (models == ["-m", b] ? 1 : 2), "\(models)")
        }
        let missing = try Command.run("bench", "-m", "\(a),\(folder.at("none.phi"))", "-p", "4", "-n", "0")
        expectRefusal(missing, "none.phi: no such file")
    }

    @Test func sqlHasLlamaBenchsColumns() throws {
        let output = try Command.run(
            "bench", "-m", Models.path(), "-p", "4,5", "-n", "0", "-r", "1", "--format", "sql"
        ).outputText
        #expect(output.hasPrefix("CREATE TABLE IF NOT EXISTS llama_bench (\n  build_commit TEXT,\n"))
        let inserts = output.split(separator: "\n").filter { $0.hasPrefix("INSERT INTO llama_bench (build_commit, ") }
        let columns = output.split(separator: "\n").filter { $0.hasPrefix("  ") }
        #expect(inserts.count == 2 && columns.count == 42)
        #expect(columns.last == "  stddev_ts REAL")
    }

    @Test(arguments: [
        ["-p", "x"], ["-p", "9-3"], ["-p", "9223372036854775807"], ["-pg", "4294967296,1"], ["-n", "-1"], ["-t", "0"],
        ["-r", "0"], ["-pg", "1"], ["-o", "xml"],
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

    @Test func takesAnOptionSeveralTimes() throws {
        let outcome = try Command.run(
            "bench", "-m", Models.path(), "-p", "4", "-p", "8,9", "-n", "0", "-r", "1", "-t", "1", "-t", "2", "-o",
            "jsonl")
        #expect(outcome.outputText.split(separator: "\n").count == 6)
    }
}
