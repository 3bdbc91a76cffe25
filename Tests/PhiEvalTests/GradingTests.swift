import Foundation
import PhiEval
import PhiFormat
import PhiTestSupport
import Synchronization
import Testing

/// Grades by a language model behind a stand-in of a server.
@Suite(.enabled(if: hasCurl, "libcurl is not installed here, so no server is asked")) struct GradingTests {
    private static let good = ChatServer.Answer.completion(#"{"explanation": "Right.", "grade": 9}"#)

    private func problems() throws -> [CodeProblem] {
        let set = try #require(ProblemSets.all.first { $0.builtIn != nil })
        return try set.read(nil, mode: .raw, promptTests: 0)
    }

    private func endpoint(
        _ url: String, key: String? = nil, tries: Int = 6, notice: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> ChatEndpoint {
        try ChatEndpoint(url, model: "judge", key: key, agent: "test", tries: tries, pause: 0, notice: notice)
    }

    private func grades(
        _ url: String, _ path: FilePath, tries: Int = 6, of texts: [String] = ["    return 0\n"]
    ) throws -> [Int?] {
        let problem = try #require(try problems().first)
        return try Grader(endpoint(url, tries: tries), GradeFile(path)).grades(of: texts.map { (problem, $0) }) { _ in
            true
        }.map { $0?.grade }
    }

    @Test func addressesAreThoseOfChatCompletions() {
        for url in ["http://a", "http://a/", "http://a/v1", "http://a/v1/", "http://a/v1/chat/completions"] {
            #expect(ChatEndpoint.address(url) == "http://a/v1/chat/completions")
        }
        for (url, address) in [
            ("https://a:1/api/v4beta", "https://a:1/api/v4beta/chat/completions"),
            ("http://a/video", "http://a/video/v1/chat/completions"),
            ("https://a/v1beta/openai/", "https://a/v1beta/openai/chat/completions"),
            ("https://a/v1beta/openai/chat/completions", "https://a/v1beta/openai/chat/completions"),
            ("https://a/chat/completions", "https://a/chat/completions"),
            (
                "https://a/openai/deployments/b/chat/completions?api-version=1",
                "https://a/openai/deployments/b/chat/completions?api-version=1"
            ),
            (
                "https://a/openai/deployments/b?api-version=1#c",
                "https://a/openai/deployments/b/chat/completions?api-version=1"
            ),
            ("https://a/openai/v1/?api-version=x", "https://a/openai/v1/chat/completions?api-version=x"),
            ("http://v1", "http://v1/v1/chat/completions"),
            ("http://v2host:8000/", "http://v2host:8000/v1/chat/completions"),
        ] { #expect(ChatEndpoint.address(url) == address, "\(url)") }
    }

    @Test func theRequestHasTaskReferenceCompletionAndSchema() throws {
        let folder = try TemporaryFolder()
        let server = try ChatServer { _, _ in Self.good }
        let problem = try #require(try problems().first)
        let grader = Grader(try endpoint(server.url, key: "secret"), try GradeFile(FilePath(folder.at("g"))))
        let grade = try #require(try grader.grades(of: [(problem, "    return 7\n")]) { _ in true }.first)
        #expect(grade?.grade == 9 && grade?.explanation == "Right.")
        let request = try #require(server.requests.first)
        #expect(request.head.hasPrefix("POST /v1/chat/completions HTTP/1.1"))
        #expect(request.head.contains("Authorization: Bearer secret") && !request.head.contains("Expect"))
        let body = try request.json()
        #expect(body["model"] as? String == "judge" && body["temperature"] as? Int == 0)
        let messages = try #require(body["messages"] as? [[String: String]])
        let asked = try #require(messages.last?["content"])
        for part in [problem.prompt, try #require(problem.reference), "    return 7\n"] {
            #expect(asked.contains(part))
        }
        let format = try #require(body["response_format"] as? [String: Any])
        let schema = (format["json_schema"] as? [String: Any])?["schema"] as? [String: Any]
        #expect(
            format["type"] as? String == "json_schema" && schema?["required"] as? [String] == ["explanation", "grade"])
    }

    /// Each fault that may pass is met again by a request, as in Tools/tests/test_endpoint.py.
    @Test func asksAgainWhenAFaultMayPass() throws {
        let folder = try TemporaryFolder()
        let faults: [ChatServer.Answer] = [
            .init(status: 500), .init(status: 429, headers: ["Retry-After": "0"]), .init(body: "<html>busy</html>"),
            .init(status: 503, headers: ["Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"], breaksOff: true),
            .init(body: #"{"choices": []}"#),
        ]
        let server = try ChatServer { number, _ in number < faults.count ? faults[number] : Self.good }
        #expect(try grades(server.url, FilePath(folder.at("g"))) == [9])
        #expect(server.requests.count == 6)
    }

    @Test func givesUpWithTheAddressAndTheFault() throws {
        let folder = try TemporaryFolder()
        func fault(_ tries: Int, _ answer: ChatServer.Answer) throws -> (String, Int) {
            let server = try ChatServer { _, _ in answer }
            let error = #expect(throws: FormatError.self) {
                try grades(server.url, FilePath(folder.at("g")), tries: tries)
            }
            #expect(error?.file == server.url + "/v1/chat/completions")
            return (error?.fault ?? "", server.requests.count)
        }
        #expect(
            try fault(3, .init(status: 500, body: "out\nof memory")).0.hasPrefix("HTTP 500: out of memory (3 tries)"))
        #expect(try fault(6, .init(status: 401, body: "no")) == ("HTTP 401: no", 1))
        #expect(try fault(6, .init(status: 401, body: "no", breaksOff: true)) == ("HTTP 401: no", 1))
        #expect(try fault(6, .init(status: 307, headers: ["Location": "/other"])) == ("HTTP 307", 1))
        #expect(throws: FormatError.self) { try endpoint("ftp://a") }
        #expect(throws: FormatError.self) { try endpoint("http://a", key: "a\r\nb") }
        #expect(throws: FormatError.self) {
            try grades("http://127.0.0.1:9", FilePath(folder.at("g")), tries: 2)
        }
    }

    /// Whatever a server answers, it can be connected to.
    @Test func saysWhatKeepsAConnectionFromBeingMade() throws {
        func fault(_ url: String) throws -> FormatError? { try endpoint(url).connectionFault { true } }
        for answer in [
            ChatServer.Answer(body: "{}"), .init(status: 405), .init(status: 307, headers: ["Location": "ftp://a"]),
        ] {
            let server = try ChatServer { _, _ in answer }
            #expect(try fault(server.url) == nil)
            #expect(server.requests.map { $0.head.hasPrefix("GET /v1/chat/completions ") } == [true])
        }
        let server = try ChatServer { _, _ in Self.good }
        #expect(try fault("https://127.0.0.1:\(server.port)")?.fault.hasPrefix("no secure connection") == true)
        #expect(try fault("http://127.0.0.1:9")?.fault.hasPrefix("cannot be connected to") == true)
        #expect(throws: CancellationError.self) { try endpoint(server.url).connectionFault { false } }
    }

    /// Servers that ignore the schema give a grade in other words, in a fence, after thoughts or as a string.
    @Test func findsGradesInOtherWords() throws {
        let folder = try TemporaryFolder()
        let grade = #"{"explanation": "A {set}.", "grade": 7}"#
        for (number, text) in [
            "```json\n\(grade)\n```", "Here it is: \(grade) I hope {it} helps",
            "<think>{\"grade\": 3} or 4?</think>\n\(grade)",
            #"The {set} is right. {"explanation": "a", "grade": "7"}"#, #"{"explanation": "a", "grade": "7"}"#,
        ].enumerated() {
            let server = try ChatServer { _, _ in .completion(text) }
            #expect(try grades(server.url, FilePath(folder.at("\(number)"))) == [7], "\(text)")
        }
    }

    @Test func countsAnswersThatCannotBeUsed() throws {
        let folder = try TemporaryFolder()
        let server = try ChatServer { _, _ in .completion("No comment.") }
        let problem = try #require(try problems().first)
        let grader = Grader(try endpoint(server.url), try GradeFile(FilePath(folder.at("g"))))
        var unusable: [Grader.Unusable] = []
        let completions = ["a", "b", "a"].map { (problem: problem, text: $0) }
        let grades = try grader.grades(of: completions) { _ in
            true
        } onUnusable: {
            unusable.append($0)
        }
        #expect(grades == [nil, nil, nil])
        #expect(unusable.count == 1 && unusable.first?.count == 4 && unusable.first?.first == "No comment.")
    }

    @Test func asksMoreAtOnceThanThereAreProcessors() throws {
        let folder = try TemporaryFolder()
        let waiting = Mutex((now: 0, most: 0))
        let server = try ChatServer { _, _ in
            waiting.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
            for _ in 0..<500 where waiting.withLock({ $0.most }) < 8 { usleep(10_000) }
            waiting.withLock { $0.now -= 1 }
            return Self.good
        }
        let texts = (0..<8).map { "    return \($0)\n" }
        #expect(try grades(server.url, FilePath(folder.at("g")), of: texts) == Array(repeating: 9, count: 8))
        #expect(waiting.withLock { $0.most } == 8)
    }

    /// What is no grade is asked for once more, and then there is none.
    @Test func checksAnswers() throws {
        let folder = try TemporaryFolder()
        for (number, text) in [
            "Nine.", #"{"grade": 9}"#, #"{"explanation": "a", "grade": 11}"#, #"{"explanation": "a", "grade": -1}"#,
            #"{"explanation": " ", "grade": 5}"#, #"{"explanation": "a", "grade": 5.5}"#, "",
            #"{"explanation": "a", "grade": "nine"}"#, "{{{", "}",
        ].enumerated() {
            let server = try ChatServer { _, _ in .completion(text) }
            #expect(try grades(server.url, FilePath(folder.at("\(number)"))) == [nil], "\(text)")
            #expect(server.requests.count == 2, "\(text)")
        }
        let cut = try ChatServer { number, _ in
            number == 0 ? .completion(#"{"explanation": "a", "grade": 5}"#, finish: "length") : Self.good
        }
        #expect(try grades(cut.url, FilePath(folder.at("cut"))) == [9])
    }

    @Test func gradesAreKeptAndEqualCompletionsAskedOnce() throws {
        let folder = try TemporaryFolder()
        let path = FilePath(folder.at("grades.jsonl"))
        let texts = ["a", "b", "a", "c"]
        let refusing = try ChatServer { _, _ in .init(status: 400) }
        #expect(throws: FormatError.self) { try grades(refusing.url, path, of: texts) }
        #expect(folder.names.isEmpty)
        // The third distinct completion fails; what came before is kept.
        let broken = try ChatServer { _, request in
            String(decoding: request.body, as: UTF8.self).contains(#"<code>\nc\n"#) ? .init(status: 400) : Self.good
        }
        #expect(throws: FormatError.self) { try grades(broken.url, path, of: texts) }
        let kept = broken.requests.count - 1
        // A line that a kill cut off is dropped.
        try readFile(path.description).withUnsafeBytes {
            try Data($0 + Array(#"{"explanation":"ri"#.utf8)).write(to: URL(fileURLWithPath: path.description))
        }
        let server = try ChatServer { _, _ in Self.good }
        #expect(try grades(server.url, path, of: texts) == [9, 9, 9, 9])
        #expect(server.requests.count == 3 - kept)
        #expect(try grades("http://127.0.0.1:9", path, tries: 1, of: texts) == [9, 9, 9, 9])
        try Data("precious".utf8).write(to: URL(fileURLWithPath: path.description))
        #expect(throws: FormatError.self) { try GradeFile(path) }
        #expect(try readFile(path.description) == Array("precious".utf8))
    }

    @Test func stopsWhenTold() throws {
        let folder = try TemporaryFolder()
        let server = try ChatServer { _, _ in .init(status: 503, headers: ["Retry-After": "500"]) }
        let isNoted = Mutex(false)
        let endpoint = try endpoint(server.url) { _ in isNoted.withLock { $0 = true } }
        let grader = Grader(endpoint, try GradeFile(FilePath(folder.at("g"))))
        let problem = try #require(try problems().first)
        #expect(throws: CancellationError.self) {
            try grader.grades(of: [(problem, "a")]) { _ in !isNoted.withLock { $0 } }
        }
    }
}

/// Whether libcurl is installed.
private let hasCurl = (try? ChatEndpoint("http://a", model: "", key: nil, agent: "") { _ in }) != nil
