import Foundation
import PhiTestSupport
import Testing

extension ServerTests {
    /// What the server makes of HTTP/1, over sockets.
    @Suite struct HTTPTests {
        private static let body = #"{"prompt":"x","max_tokens":3,"temperature":0}"#

        private func sent(_ text: String, _ server: ServerProcess) throws -> String {
            let connection = try server.connect()
            try connection.send(text)
            return try connection.readToEnd()
        }

        private func post(_ version: String, _ body: String = body, headers: String = "") -> String {
            "POST /v1/completions HTTP/\(version)\r\nHost: localhost\r\nContent-Type: application/json\r\n\(headers)"
                + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
        }

        @Test func oldClientsGetWholeAnswersAndTheEnd() throws {
            let server = try ServerProcess()
            let streamed = #"{"prompt":"x","max_tokens":3,"stream":true}"#
            for (request, end) in [
                ("GET /health HTTP/1.0\r\n\r\n", #"{"status":"ok"}"#),
                ("GET /health HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", #"{"status":"ok"}"#),
                (post("1.0"), "}"), (post("1.0", streamed), "data: [DONE]\n\n"),
            ] {
                let answer = try sent(request, server)
                #expect(answer.hasPrefix("HTTP/1.0 200 ") && answer.hasSuffix(end), "\(answer)")
                let head = answer.prefix(through: answer.firstRange(of: "\r\n\r\n")?.lowerBound ?? answer.startIndex)
                #expect(head.contains("onnection: close") && !head.lowercased().contains("chunked"), "\(head)")
            }
            // Headers' values have any case.
            for word in ["close", "Close"] {
                let answer = try sent(post("1.1", headers: "Connection: \(word)\r\n"), server)
                #expect(answer.hasPrefix("HTTP/1.1 200 ") && answer.contains("onnection: close"), "\(answer)")
            }
        }

        @Test func bodiesAreAwaited() throws {
            let server = try ServerProcess("--max-body", "1000")
            let connection = try server.connect()
            let request = post("1.1", headers: "Expect: 100-continue\r\n")
            try connection.send(String(request.dropLast(Self.body.count)))
            #expect(try connection.readHead().status == 100)
            try connection.send(Self.body)
            #expect(try connection.readAnswer().status == 200)
            // What would be refused is not asked for.
            let long = try server.connect()
            try long.send(
                "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    + "Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n")
            #expect(try long.readHead().status == 413)
        }

        @Test func bodiesAreNotDecompressed() throws {
            let server = try ServerProcess()
            for (encoding, status) in [("gzip", 415), ("deflate, br", 415), ("identity", 200)] {
                let answer = try server.request(
                    "POST", "/v1/completions", Self.body, headers: ["Content-Encoding": encoding])
                #expect(answer.status == status, "\(encoding)")
                guard status == 415 else { continue }
                #expect(answer.head.headers["accept-encoding"] == "identity")
                #expect(try answer.json(ErrorAnswer.self).error.code == "unsupported_media_type")
            }
        }

        @Test func namesThatAreNotTheServersAreRefused() throws {
            func status(_ hosts: [String], _ server: ServerProcess) throws -> String {
                let lines = hosts.map { "Host: \($0)\r\n" }.joined()
                let answer = try sent("GET /v1/models HTTP/1.1\r\n\(lines)Connection: close\r\n\r\n", server)
                return String(answer.dropFirst(9).prefix(3)) + (answer.contains(#""error":{"#) ? " error" : "")
            }
            let own = ["localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "192.168.1.5"]
            let foreign = [
                "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "1",
            ]
            let server = try ServerProcess()
            for host in own { #expect(try status([host], server) == "200", "\(host)") }
            for host in foreign { #expect(try status([host], server) == "403 error", "\(host)") }
            for hosts in [[], ["localhost", "localhost"], ["[::1"], ["localhost:x"], [":80"]] {
                #expect(try status(hosts, server) == "400 error", "\(hosts)")
            }
            let named = try ServerProcess("--allow-host", "phi.example", "--allow-host", "Other.example")
            for host in own + ["phi.example", "other.example:80"] {
                #expect(try status([host], named) == "200", "\(host)")
            }
            for host in foreign { #expect(try status([host], named) == "403 error", "\(host)") }
            // A server for other machines has names that it does not know.
            let open = try ServerProcess("--host", "0.0.0.0")
            for host in own + ["phi.example"] { #expect(try status([host], open) == "200", "\(host)") }
        }

        @Test func pagesOfOtherOriginsNeedToBeAllowed() throws {
            let origin = "https://editor.example"
            func preflight(_ server: ServerProcess, _ origin: String) throws -> HTTPConnection.Head {
                let connection = try server.connect()
                try connection.send(
                    "OPTIONS", "/v1/completions",
                    headers: [
                        "Origin": origin, "Access-Control-Request-Method": "POST",
                        "Access-Control-Request-Headers": "content-type,x-stainless-os",
                    ])
                return try connection.readHead()
            }
            let closed = try ServerProcess()
            let refused = try preflight(closed, origin)
            #expect(refused.status == 405 && refused.headers["access-control-allow-origin"] == nil)
            for (option, others) in [(origin, false), ("*", true)] {
                let server = try ServerProcess("--allow-origin", option, "--allow-origin", "null")
                let allowed = try preflight(server, origin)
                #expect(allowed.status == 204 && allowed.headers["access-control-allow-origin"] == origin)
                #expect(allowed.headers["access-control-allow-headers"] == "content-type,x-stainless-os")
                #expect(allowed.headers["access-control-allow-methods"]?.contains("POST") == true)
                #expect(try (preflight(server, "https://evil.example").status == 204) == others)
                for (body, status) in [(Self.body, 200), ("{}", 400)] {
                    let answer = try server.request("POST", "/v1/completions", body, headers: ["Origin": origin])
                    #expect(answer.status == status && answer.head.headers["access-control-allow-origin"] == origin)
                    #expect(answer.head.headers["vary"] == "Origin")
                }
                let plain = try server.request("POST", "/v1/completions", Self.body)
                #expect(plain.head.headers["access-control-allow-origin"] == nil)
            }
        }

        @Test func whatIsNotHTTPIsAnErrorOfTheSameShape() throws {
            let server = try ServerProcess()
            let chunks =
                "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                + "Transfer-Encoding: chunked\r\n\r\nZZ\r\n"
            for (request, status, code) in [
                ("NOT HTTP AT ALL\r\n\r\n", 400, "invalid_http"), ("\u{0}\u{1}garbage\r\n\r\n", 400, "invalid_http"),
                ("POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: +1\r\n\r\n", 400, "invalid_http"),
                (
                    "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: \(String(repeating: "a", count: 100_000))\r\n\r\n", 431,
                    "headers_too_large"
                ),
                (chunks, 400, "invalid_http"),
            ] {
                let connection = try server.connect()
                try connection.send(request)
                let answer = try connection.readAnswer()
                #expect(
                    answer.status == status && answer.head.headers["connection"] == "close", "\(request.prefix(40))")
                #expect(try answer.json(ErrorAnswer.self).error.code == code, "\(request.prefix(40)): \(answer.text)")
            }
            // After a good request on the same connection too.
            let connection = try server.connect()
            try connection.send("GET", "/health")
            #expect(try connection.readAnswer().status == 200)
            try connection.send("NOT HTTP AT ALL\r\n\r\n")
            #expect(try connection.readAnswer().json(ErrorAnswer.self).error.code == "invalid_http")
        }

        @Test func idleConnectionsMakeRoom() throws {
            let server = try ServerProcess("--max-connections", "10", path: nil)
            let busy = try server.connect()
            let endless = #"{"prompt":"x","max_tokens":900,"ignore_eos":true,"stream":true}"#
            try busy.send("POST", "/v1/completions", Array(endless.utf8))
            #expect(try busy.readHead().status == 200)
            let idle = try (0..<40).map { _ in try server.connect() }
            for _ in 0..<3 { #expect(try server.request("GET", "/health").status == 200) }
            #expect(try idle[0].readToEnd().isEmpty)
            // The one that is answered goes on.
            var last: String?
            while let event = try busy.readEvent() { last = event }
            #expect(last == "[DONE]")
        }

        /// `ulimit -n` bounds connections, and too few are said in a line.
        @Test func descriptorsBoundConnections() throws {
            func start(_ files: Int) throws -> RunningProgram {
                try RunningProgram(
                    "/bin/sh", ["-c", "ulimit -n \(files); exec \"$0\" --port 0", Command.program("phi-server")],
                    input: [],
                    environment: [:], longest: 120)
            }
            let few = try start(12).wait()
            #expect(few.status == 1 && few.errorText.filter(\.isNewline).count == 1, "\(few.errorText)")
            #expect(few.errorText.contains("ulimit -n"), "\(few.errorText)")
            let program = try start(120)
            let port = try #require(Int(program.readLine().split(separator: ":").last ?? ""))
            let idle = try (0..<200).map { _ in try HTTPConnection(port: port) }
            let connection = try HTTPConnection(port: port)
            try connection.send("GET", "/health")
            #expect(try connection.readAnswer().status == 200)
            #expect(try idle[0].readToEnd().isEmpty)
            program.signal(SIGTERM)
            #expect(try program.wait().status == 0)
        }
    }
}
