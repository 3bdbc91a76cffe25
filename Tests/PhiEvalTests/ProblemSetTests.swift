import PhiEval
import PhiFormat
import PhiTestSupport
import Testing

/// Files of problems and samples as other tools write them.
struct ProblemSetTests {
    private static let sanitized =
        #"{"source_file":"x","task_id":11,"prompt":"Add.","code":"def add(a, b):\n  return a + b","#
        + #""test_imports":["import math"],"test_list":["assert math.isclose(add(1, 2), 3)"]}"#

    private func set(_ name: String) throws -> any ProblemSet.Type {
        try #require(ProblemSets.all.first { $0.name == name })
    }

    private func read(_ name: String, _ text: some Sequence<UInt8>) throws -> [CodeProblem] {
        let folder = try TemporaryFolder()
        return try set(name).read(FilePath(try folder.write("problems", text)), mode: .raw, promptTests: 1)
    }

    private func fault(_ name: String, _ text: String) throws -> String {
        let error = #expect(throws: FormatError.self) { try read(name, text.utf8) }
        return error?.description ?? ""
    }

    @Test func readsSanitizedMBPPAndMBPPPlus() throws {
        let problem = try #require(try read("MBPP", Self.sanitized.utf8).first)
        #expect(problem.prompt == "\"\"\"\nAdd.\nassert math.isclose(add(1, 2), 3)\n\"\"\"\n")
        #expect(problem.id.description == "11" && problem.reference?.hasPrefix("def add") == true)
        let others = Self.sanitized.replacing("11,", with: "602,")
        #expect(try fault("MBPP", others).hasSuffix("holds no problem of MBPP"))
        // With all checks in one text it is of MBPP+, which has problems of all parts.
        let plus = others.dropLast() + #","test":"assert add(2, 2) == 4"}"#
        #expect(try read("MBPP", plus.utf8).first?.id.description == "602")
        let named = Self.sanitized.replacing("11,", with: #""Mbpp/11","#)
        #expect(try read("MBPP", named.utf8).first?.id.description == "11")
    }

    @Test func readsArraysAndByteOrderMarks() throws {
        let other = Self.sanitized.replacing("11,", with: "12,").replacing("Add.", with: #"[A, \"]\" {b}."#)
        let array = "\u{FEFF} [\n \(Self.sanitized),\n\(other)\n]\n"
        #expect(try read("MBPP", array.utf8).map(\.id.description) == ["11", "12"])
        #expect(try read("MBPP", "\u{FEFF}\(Self.sanitized)\r\n\(other)\r\n".utf8).count == 2)
        #expect(try fault("MBPP", "[\n\(Self.sanitized),\n{}]").contains("problems: line 3: has no"))
        for text in ["[]", "[\(Self.sanitized)", "[\(Self.sanitized)]x", "[[1]]", "[1]\n[2]", "["] {
            #expect(try fault("MBPP", text).contains("problems: "), "\(text)")
        }
    }

    @Test func namesTheFormatThatIsWanted() throws {
        let row =
            #"{"task_id":"Mbpp/11","prompt":"","entry_point":"f","canonical_solution":"","base_input":[[NaN]]}"#
        #expect(try fault("MBPP", row).contains("line 1: has no 'test_setup_code': it is EvalPlus's own format"))
        #expect(try fault("HumanEval", row).contains("line 1: has no 'test': it is EvalPlus's own format"))
        #expect(try !fault("MBPP", "{}").contains("EvalPlus"))
    }

    /// Names of tasks and keys of samples differ between tools.
    @Test func readsSamplesOfOtherTools() throws {
        let folder = try TemporaryFolder()
        let problems = try read("MBPP", Self.sanitized.utf8)
        func samples(_ text: String) throws -> [CodeSample] {
            try CodeSample.read(FilePath(try folder.write("samples", text)), of: problems)
        }
        for id in ["11", #""11""#, #""Mbpp/11""#] {
            let sample = try #require(try samples("{\"task_id\":\(id),\"completion\":\"x\"}").first)
            #expect(sample.task_id == problems.first?.id && sample.completion == "x" && sample.solution == nil)
        }
        let whole = try samples(#"[{"task_id":11,"solution":"y","stop_reason":"stop"}]"#)
        #expect(whole.first?.solution == "y" && whole.first?.completion == "y" && whole.first?.stop_reason == "stop")
        let both = try samples(#"{"task_id":11,"solution":"y","completion":"x","stop_reason":1}"#)
        #expect(both.first?.solution == nil && both.first?.completion == "x" && both.first?.stop_reason == nil)
        #expect(throws: FormatError.self) { try samples(#"{"task_id":"Mbpp/12","completion":"x"}"#) }
        #expect(throws: FormatError.self) { try samples(#"{"task_id":11}"#) }
    }

    @Test(SandboxTests.needsSandbox) func aSolutionReplacesPromptAndCompletion() throws {
        let problem =
            #"{"task_id":"a","prompt":"def f():\n","entry_point":"f","test":"def check(f): assert f() == 1"}"#
        let problems = try read("HumanEval", problem.utf8)
        let folder = try TemporaryFolder()
        let path = try folder.write("samples", #"{"task_id":"a","solution":"def f():\n    return 1"}"#)
        let sample = try #require(try CodeSample.read(FilePath(path), of: problems).first)
        let program = try #require(problems.first).program(sample)
        #expect(try SandboxTests.patient.get().run(program) == .passed)
    }
}
