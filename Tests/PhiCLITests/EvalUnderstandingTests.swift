import Foundation
import PhiTestSupport
import Testing

/// `phi eval understanding`, with grades by a stand-in of a server.
@Suite struct EvalUnderstandingTests {
    private struct Report: Decodable {
        struct Result: Decodable {
            struct Sample: Decodable {
                let verdict: String
                let grade: Int?
                let explanation: String?
            }
            let samples: [Sample]
        }
        let problems: Int
        let passed: Int
        let grader: String?
        let graded: Int?
        let grade: Double?
        let grade_error: Double?
        let grade_passed: Double?
        let grade_not_passed: Double?
        let results: [Result]
    }

    /// A server that gives references 10, other code 3, and none to the code `pass`.
    private func server() throws -> ChatServer {
        try ChatServer { _, request in
            let text = (try? request.json()["messages"] as? [[String: String]])?.last?["content"] ?? ""
            let code = text.components(separatedBy: "<code>\n").last?.components(separatedBy: "\n</code>").first ?? ""
            if code == "    pass" { return .completion("No comment.") }
            let isRight = text.contains("<solution>\n\(code)\n</solution>")
            return .completion("{\"explanation\": \"Seen.\", \"grade\": \(isRight ? 10 : 3)}")
        }
    }

    @Test(.enabled(if: EvalCodeTests.hasSandbox && hasCurl, "needs bubblewrap and libcurl"))
    func referencesPassAndAreGraded() throws {
        let folder = try TemporaryFolder()
        let server = try server()
        let arguments = [
            "eval", "understanding", "--references", "--endpoint", server.url, "--grader", "judge", "--grades",
            folder.at("grades.jsonl"),
        ]
        let report = try Command.run(arguments + ["--json"]).json(Report.self)
        #expect(report.problems == 50 && report.passed == 50)
        #expect(report.grader == "judge" && report.graded == 50 && report.grade == 10 && report.grade_error == 0)
        #expect(report.grade_passed == 10 && report.grade_not_passed == nil)
        #expect(server.requests.count == 50)
        // All are kept.
        let text = try Command.run(arguments).outputText
        #expect(server.requests.count == 50)
        #expect(text.contains("grade 10.00 ± 0.00 of 10; passed 10.00; 50 of 50 samples graded by judge"), "\(text)")
        #expect(text.contains("understanding/0   passed, grade 10\n"), "\(text)")
    }

    @Test(.enabled(if: hasCurl, "libcurl is not installed here")) func gradesAreBesideVerdicts() throws {
        let folder = try TemporaryFolder()
        let server = try server()
        let samples = try folder.write(
            "samples.jsonl",
            """
            {"task_id": "understanding/0", "completion": "    return 0\\n"}
            {"task_id": "understanding/1", "completion": "    pass"}

            """)
        let report = try Command.run(
            "eval", "understanding", "--samples", samples, "--limit", "2", "--allow-unsandboxed", "--endpoint",
            server.url, "--grader", "judge", "--grades", folder.at("grades.jsonl"), "--json"
        ).json(Report.self)
        #expect(report.results.map { $0.samples.map(\.verdict) } == [["failed"], ["failed"]])
        #expect(report.results.map { $0.samples.map(\.grade) } == [[3], [nil]])
        #expect(report.results[0].samples[0].explanation == "Seen.")
        #expect(report.graded == 1 && report.grade == 3 && report.grade_passed == nil && report.grade_not_passed == 3)
    }

    @Test func aModelIsScoredWithoutAnEndpoint() throws {
        let report = try Command.run(
            "eval", "understanding", "-m", Models.path(), "-n", "4", "--limit", "3", "--allow-unsandboxed", "--json"
        ).json(Report.self)
        #expect(report.problems == 3 && report.grader == nil && report.graded == nil && report.grade == nil)
        let loss = try Command.run("eval", "code-loss", "understanding", "-m", Models.path(), "--limit", "2")
        #expect(loss.outputText.contains("2 of 50 problems"), "\(loss.errorText)")
    }

    /// The fault is said before samples are generated, and again when they are to be graded; what is made is kept.
    @Test(.enabled(if: hasCurl, "libcurl is not installed here")) func warnsOfAnEndpointThatCannotBeReached() throws {
        let folder = try TemporaryFolder()
        let server = try server()
        let outcome = try Command.run(
            "eval", "understanding", "-m", Models.path(), "-n", "4", "--limit", "2", "--allow-unsandboxed", "-o",
            folder.at("samples.jsonl"), "--endpoint", "https://127.0.0.1:\(server.port)", "--grader", "judge",
            "--grades", folder.at("grades.jsonl"))
        let fault = "127.0.0.1:\(server.port): no secure connection"
        #expect(outcome.status == 1 && outcome.errorText.contains("warning: no grades if this stays so: \(fault)"))
        #expect(outcome.errorText.contains("phi: \(fault)"), "\(outcome.errorText)")
        #expect(try readFile(folder.at("samples.jsonl")).filter { $0 == UInt8(ascii: "\n") }.count == 2)
    }

    @Test func refusesHalfAnEndpointAndNoAddress() throws {
        let folder = try TemporaryFolder()
        expectWrongUsage(try Command.run("eval", "understanding", "--endpoint", "http://a"), "--grader")
        expectWrongUsage(try Command.run("eval", "understanding", "--grades", "x"), "--grades needs --endpoint")
        expectWrongUsage(try Command.run("eval", "humaneval"), "--problems")
        expectWrongUsage(try Command.run("eval", "code-loss", "mbpp"), "--problems")
        guard hasCurl else { return }
        expectRefusal(
            try Command.run(
                "eval", "understanding", "-m", Models.path(), "--allow-unsandboxed", "--endpoint", "ftp://a",
                "--grader", "b",
                "--grades", folder.at("g")), "--endpoint: is no address of HTTP")
        #expect(!FileManager.default.fileExists(atPath: folder.at("g")))
    }
}

/// Whether libcurl is installed: without it an address is not looked at.
private let hasCurl: Bool = {
    let outcome = try? Command.run(
        "eval", "understanding", "--allow-unsandboxed", "--endpoint", "ftp://a", "--grader", "b")
    return outcome?.errorText.contains("is no address of HTTP") == true
}()
