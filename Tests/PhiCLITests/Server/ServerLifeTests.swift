import Foundation
import PhiTestSupport
import Testing

extension ServerTests {
    /// Clients that disconnect, servers that end and queues that fill.
    @Suite struct LifeTests {
        /// A stream that does not end by itself for minutes, after its first events.
        private func endless(_ server: ServerProcess, events: Int = 2) throws -> HTTPConnection {
            let connection = try server.connect()
            let fields: [String: Any] = ["prompt": "x", "max_tokens": 60_000, "stream": true, "seed": 1]
            try connection.send("POST", "/v1/completions", Array(ServerProcess.json(fields).utf8))
            try #require(connection.readHead().status == 200)
            for _ in 0..<events { _ = try connection.readEvent() }
            return connection
        }

        @Test func aClientThatGoesFreesItsSlot() throws {
            let server = try ServerProcess("--parallel", "1", path: Models.long())
            for round in 1...3 {
                let stream = try endless(server)
                #expect(try server.metric("phi_texts_running") == 1)
                // Somebody waits behind it, and one who waits goes too.
                let waiting = try server.connect()
                let body = Array(ServerProcess.json(["prompt": "y", "max_tokens": 3, "temperature": 0]).utf8)
                try waiting.send("POST", "/v1/completions", body)
                let leaving = try server.connect()
                try leaving.send("POST", "/v1/completions", body)
                try server.wait(for: "phi_texts_waiting", toBe: 2)
                leaving.close()
                try server.wait(for: "phi_texts_waiting", toBe: 1)
                stream.close()
                #expect(try waiting.readAnswer().status == 200)
                try server.wait(for: "phi_texts_running", toBe: 0)
                #expect(try server.metric("phi_requests_cancelled_total") == Double(2 * round))
            }
            // Without a stream too: nobody writes anything by which to notice.
            let silent = try server.connect()
            try silent.send("POST", "/v1/completions", Array(#"{"prompt":"x","max_tokens":60000}"#.utf8))
            try server.wait(for: "phi_texts_running", toBe: 1)
            silent.close()
            try server.wait(for: "phi_texts_running", toBe: 0)
        }

        @Test func aFullQueueSaysWhenToComeBack() throws {
            let server = try ServerProcess("--parallel", "1", "--queue", "2", path: Models.long())
            let stream = try endless(server)
            let waiting = try (0..<2).map { _ in
                let connection = try server.connect()
                try connection.send("POST", "/v1/completions", Array(#"{"prompt":"x","max_tokens":1}"#.utf8))
                return connection
            }
            try server.wait(for: "phi_texts_waiting", toBe: 2)
            let answer = try server.request("POST", "/v1/completions", #"{"prompt":"x","max_tokens":1}"#)
            #expect(answer.status == 429)
            #expect((1...60).contains(Int(answer.head.headers["retry-after"] ?? "") ?? 0))
            #expect(try answer.json(ErrorAnswer.self).error.type == "rate_limit_error")
            #expect(try server.metric("phi_requests_rejected_total") == 1)
            stream.close()
            for connection in waiting { #expect(try connection.readAnswer().status == 200) }
        }

        @Test func timeRunsOut() throws {
            let server = try ServerProcess("--timeout", "1", path: Models.long())
            let answer = try server.request("POST", "/v1/completions", #"{"prompt":"x","max_tokens":60000}"#)
            #expect(answer.status == 503)
            #expect(try answer.json(ErrorAnswer.self).error.code == "timeout")
            // A stream has begun: it ends with an error instead of its last event.
            let stream = try endless(server)
            var last = ""
            while let event = try stream.readEvent() { last = event }
            #expect(last.contains(#""code":"timeout""#))
            #expect(try server.metric("phi_requests_timed_out_total") == 2)
            try server.wait(for: "phi_texts_running", toBe: 0)
        }

        @Test func longPromptsArePrefilledInChunks() throws {
            let server = try ServerProcess("--parallel", "2", path: Models.long())
            let stream = try endless(server)
            let before = try #require(try server.metric("phi_completion_tokens_total"))
            let prompt = (0..<4_000).map { $0 * 7 % 256 }
            let answer = try server.complete(["prompt": prompt, "max_tokens": 1, "logprobs": 0])
            #expect(answer.usage?.prompt_tokens == 4_000)
            // The stream got a token in each of the steps that read the prompt.
            let slices = 4_000 / 192
            #expect(try server.metric("phi_completion_tokens_total").map { $0 - before >= Double(slices) } == true)
            let lines = try server.request("GET", "/metrics").text.split(separator: "\n")
            func steps(_ name: String) -> String? {
                lines.first { $0.hasPrefix("phi_step_tokens" + name) }.flatMap { $0.split(separator: " ").last }.map(
                    String.init)
            }
            #expect(steps(#"_bucket{le="256"}"#) == steps("_count"), "a step took more than a slice")
            for _ in 0..<slices { #expect(try stream.readEvent() != nil) }
        }

        @Test(arguments: [SIGTERM, SIGINT]) func requestsEndBeforeTheServerDoes(_ signal: Int32) throws {
            let path = try Models.long()
            let server = try ServerProcess(path: path)
            let expected = try Completed.of("x", "-n", "1500", path: path)
            let connection = try server.connect()
            let fields: [String: Any] = ["prompt": "x", "max_tokens": 1500, "stream": true, "temperature": 0]
            try connection.send("POST", "/v1/completions", Array(ServerProcess.json(fields).utf8))
            try #require(connection.readHead().status == 200)
            let first = try connection.readEvent()
            server.program.signal(signal)
            var text = ""
            var event = first
            while let data = event, data != "[DONE]" {
                text += try JSONDecoder().decode(CompletionAnswer.self, from: Data(data.utf8)).choices.map(\.text)
                    .joined()
                event = try connection.readEvent()
            }
            #expect(event == "[DONE]" && text == expected.text)
            let outcome = try server.end(signal)
            #expect(outcome.status == 0 && outcome.signal == 0)
            #expect(throws: (any Error).self) { try HTTPConnection(port: server.port) }
        }

        @Test func whatDoesNotEndIsEnded() throws {
            let server = try ServerProcess("--drain", "1", path: Models.long())
            let stream = try endless(server)
            server.program.signal(SIGTERM)
            var last = ""
            while let event = try stream.readEvent() { last = event }
            #expect(last.contains(#""code":"shutting_down""#))
            let outcome = try server.end()
            #expect(outcome.status == 0 && outcome.seconds < 60)
        }

        @Test(arguments: [SIGTERM, SIGINT]) func aSecondSignalEndsRequests(_ signal: Int32) throws {
            let server = try ServerProcess("--drain", "86400", path: Models.long())
            let stream = try endless(server)
            server.program.signal(SIGTERM)
            while (try? HTTPConnection(port: server.port)) != nil { usleep(10_000) }
            _ = try stream.readEvent()
            server.program.signal(signal)
            var last = ""
            while let event = try stream.readEvent() { last = event }
            #expect(last.contains(#""code":"shutting_down""#))
            #expect(try server.end().status == 0)
        }

        /// What was answered before the end is sent before it, to slow clients too.
        @Test func answersAreSentBeforeTheServerEnds() throws {
            let server = try ServerProcess("--max-body", "8388608", path: nil)
            let text = String(repeating: "a b ", count: 1_000_000)
            let connection = try server.connect()
            connection.pause = 5_000
            try connection.send("POST", "/tokenize", Array(ServerProcess.json(["content": text]).utf8))
            let head = try connection.readHead()
            let length = try #require(head.headers["content-length"].flatMap { Int($0) })
            try #require(head.status == 200 && length > 4_000_000)
            server.program.signal(SIGTERM)
            #expect(try connection.read(length).count == length)
            #expect(try server.end().status == 0)
        }

        @Test func logsSayWhatHappenedButNotWhatWasAsked() throws {
            func lines(_ options: String...) throws -> String {
                let server = try ServerProcess("--log-format", options[0], options[1], path: Models.path())
                let headers = ["X-Request-Id": "given-request-1"]
                let body = ServerProcess.json(["prompt": "secret words", "max_tokens": 2])
                let answer = try server.request("POST", "/v1/completions", body, headers: headers)
                #expect(answer.head.headers["x-request-id"] == "given-request-1")
                #expect(try answer.json(CompletionAnswer.self).id == "cmpl-given-request-1")
                let forged = ["X-Request-Id": "forged [31m id"]
                #expect(
                    try server.request("GET", "/v1/models", headers: forged).head.headers["x-request-id"]?.count == 32)
                return try server.end().errorText
            }
            struct Entry: Decodable {
                let time: String
                let level: String
                let message: String
                let request_id: String?
                let status: Int?
                let seconds: Double?
                let prompt_tokens: Int?
                let completion_tokens: Int?
            }
            let count = try Completed.of("secret words", "-n", "1").prompt_ids.count
            let json = try lines("json", "--log-level=debug")
            let entries = try json.split(separator: "\n").map {
                try JSONDecoder().decode(Entry.self, from: Data($0.utf8))
            }
            let own = try #require(entries.first { $0.request_id == "given-request-1" })
            #expect(
                own.status == 200 && own.prompt_tokens == count && own.completion_tokens == 2 && (own.seconds ?? 0) > 0)
            #expect(entries.first?.message == "serving" && own.level == "info" && own.time.hasSuffix("Z"))
            #expect(!json.contains("secret"))
            let text = try lines("text", "--log-prompts")
            #expect(text.contains("status=200") && text.contains("secret words"))
        }

        @Test func connectionsAreKeptAndReused() throws {
            let server = try ServerProcess()
            let connection = try server.connect()
            let body = Array(#"{"prompt":"x","max_tokens":2}"#.utf8)
            for round in 0..<4 {
                try connection.send("POST", "/v1/completions", body)
                #expect(try connection.readAnswer().status == 200)
                if round == 1 {  // a refused body is read to its end
                    try connection.send("POST", "/v1/completions", Array("{".utf8))
                    #expect(try connection.readAnswer().status == 400)
                }
            }
            // Two at once on one connection are answered in turn.
            try connection.send("POST", "/v1/completions", body)
            try connection.send("GET", "/health")
            #expect(try connection.readAnswer().json(CompletionAnswer.self).choices.count == 1)
            #expect(try connection.readAnswer().text == #"{"status":"ok"}"#)
        }

        @Test func metricsAreForPrometheus() throws {
            let server = try ServerProcess()
            _ = try server.complete(["prompt": "abc", "max_tokens": 5])
            // A request is counted when its response has been sent, which its client may know first.
            try server.wait(for: #"phi_http_requests_total{path="/v1/completions",status="200"}"#, toBe: 1)
            let answer = try server.request("GET", "/metrics")
            #expect(answer.head.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
            let sample = try Regex(#"[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? (\+Inf|-?[0-9.]+(e[-+]?[0-9]+)?)"#)
            for line in answer.text.split(separator: "\n") where !line.hasPrefix("#") {
                #expect(line.wholeMatch(of: sample) != nil, "\(line)")
            }
            #expect(try server.metric("phi_completion_tokens_total") == 5)
            #expect(try server.metric("phi_prompt_tokens_total") == 3)
            #expect(try server.metric("phi_time_to_first_token_seconds_count") == 1)
            #expect(try server.metric("phi_time_between_tokens_seconds_count") == 4)
            #expect(answer.text.contains(#"phi_step_seconds_bucket{le="+Inf"}"#))
        }

        @Test func smallEndpointsAnswer() throws {
            let server = try ServerProcess("--model-name", "mine", path: Models.path())
            struct Tokens: Decodable {
                let tokens: [Int]
                let count: Int
                let max_model_len: Int
            }
            let ids = try Completed.of("def f(x):", "-n", "1").prompt_ids
            for field in ["content", "prompt"] {
                let answer = try server.request("POST", "/tokenize", ServerProcess.json([field: "def f(x):"]))
                let tokens = try answer.json(Tokens.self)
                #expect(tokens.tokens == ids && tokens.count == ids.count && tokens.max_model_len == 256)
            }
            let text = try server.request("POST", "/detokenize", ServerProcess.json(["tokens": ids]))
            #expect(text.text.contains(#""content":"def f(x):""#))
            #expect(try server.refusal("{}", path: "/tokenize").error.param == "content")
            #expect(try server.refusal(#"{"tokens":[999]}"#, path: "/detokenize").error.param == "tokens")
            let models = try server.request("GET", "/v1/models").text
            #expect(models.contains(#""id":"mine""#) && models.contains(#""object":"list""#))
            let page = try server.request("GET", "/")
            #expect(page.text.hasPrefix("<!doctype html>") && page.head.headers["content-security-policy"] != nil)
            // Nothing is loaded from elsewhere.
            #expect(!page.text.contains("http://") && !page.text.contains("https://") && !page.text.contains("src="))
        }
    }
}
