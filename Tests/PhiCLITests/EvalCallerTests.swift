import Foundation
import PhiTestSupport
import Testing

/// `phi eval`: what programs get of its caller, and its terminal of them.
@Suite struct EvalCallerTests {
    private struct Report: Decodable { let passed: Int }

    /// A program neither reads the folders of PYTHONPATH nor uses descriptors that are open in the caller.
    @Test(.enabled(if: EvalCodeTests.hasSandbox, EvalCodeTests.needsSandbox))
    func programsGetNothingOfTheCaller() throws {
        let folder = try TemporaryFolder()
        try folder.write("secret.py", "x = 1")
        let test = "def check(f): assert f() == 'nothing'"
        let problem =
            #"{"task_id":"a","prompt":"","entry_point":"f","canonical_solution":"","test":"\#(test)"}"#
        let program = """
            import os
            def f():
                found = []
                for name in os.listdir("/proc/self/fd"):
                    try: found += os.listdir(int(name))
                    except OSError: pass
                try:
                    import secret
                    found.append("import")
                except ImportError: pass
                return "nothing" if "secret.py" not in found and "import" not in found else str(found)

            """
        let sample = try JSONEncoder().encode(["task_id": "a", "completion": program])
        let outcome = try Command.shell(
            #"exec 9< "$3"; PYTHONPATH="$3" exec "$PHI" eval humaneval --problems "$1" --samples "$2" --json"#,
            try folder.write("problems.jsonl", problem), try folder.write("samples.jsonl", Array(sample)), folder.path)
        let report = try outcome.json(Report.self)
        #expect(report.passed == 1, "\(outcome.outputText)")
    }

    @Test func namesOfTasksAreOneLine() throws {
        let folder = try TemporaryFolder()
        let name = #"a\n\u001b[2J phi: all is well"#
        let problem = #"{"task_id":"\#(name)","prompt":"","entry_point":"f","canonical_solution":"","test":""}"#
        let outcome = try Command.run(
            "eval", "humaneval", "--problems", folder.write("problems.jsonl", problem), "--references",
            "--allow-unsandboxed")
        #expect(outcome.status == 0 && !outcome.output.contains(0x1B), "\(outcome.errorText)")
        #expect(outcome.outputText.contains("a\u{FFFD}\u{FFFD}[2J phi: all is well"))
        let sample = try folder.write("samples.jsonl", #"{"task_id":"b\n\u001b[2J","completion":"x"}"#)
        let refusal = try Command.run(
            "eval", "humaneval", "--problems", folder.at("problems.jsonl"), "--samples", sample, "--allow-unsandboxed")
        expectRefusal(refusal, "has no problem b\u{FFFD}\u{FFFD}[2J")
    }
}
