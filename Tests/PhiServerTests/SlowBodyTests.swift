import Dispatch
import PhiServer
import PhiTestSupport
import Testing

/// Clients that send slowly.
struct SlowBodyTests {
    @Test(arguments: ["POST /v1/completions", "GET /health"])
    func aBodyHasToArriveInTime(_ request: String) async throws {
        try await TestServer.run({
            $0.limits.bodyTime = .milliseconds(200)
            $0.port = 0
        }) { server in
            try await server.listening { port in
                let answer = try await Self.answer(
                    "\(request) HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
                    port)
                if request.hasPrefix("POST") {
                    #expect(answer.hasPrefix("HTTP/1.1 408 ") && answer.contains("connection: close"), "\(answer)")
                    #expect(answer.contains(#""code":"body_timeout""#), "\(answer)")
                } else {
                    #expect(answer.hasPrefix("HTTP/1.1 200 "), "\(answer)")
                }
            }
        }
    }

    /// Bodies that trickle count as idle: they do not keep others out.
    @Test func connectionsWithoutAWholeRequestMakeRoom() async throws {
        try await TestServer.run({
            $0.connections = 8
            $0.port = 0
        }) { server in
            try await server.listening { port in
                let slow = try (0..<8).map { _ in
                    let connection = try HTTPConnection(port: port)
                    try connection.send(
                        "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
                            + "Content-Type: application/json\r\n\r\n{")
                    return connection
                }
                let answer = try await Self.answer("GET /health HTTP/1.0\r\n\r\n", port)
                #expect(answer.hasPrefix("HTTP/1.0 200 "))
                for connection in slow { connection.close() }
            }
        }
    }

    /// A body for `/detokenize` whose answer has 16 MB.
    private static func longAnswer() throws -> [UInt8] {
        let longest = try #require(TestServer.model?.tokenizer.encode(String(repeating: " ", count: 16)).first)
        return Array(#"{"tokens":[\#(String(repeating: "\(longest),", count: 1_000_000))0]}"#.utf8)
    }

    /// A client that reads nothing does not hold its answer in memory.
    @Test func anAnswerHasToBeRead() async throws {
        try await TestServer.run({
            $0.limits.readTime = .milliseconds(500)
            $0.limits.bodyBytes = 8 << 20
            $0.port = 0
        }) { server in
            let body = try Self.longAnswer()
            try await server.listening { port in
                let connection = try HTTPConnection(port: port)
                try connection.send("POST", "/detokenize", body)
                try await server.wait(
                    for: #"phi_http_requests_total{path="/detokenize",status="200"}"#, toBe: 1)
                connection.close()
            }
        }
    }

    /// A client that reads steadily gets all, however long that takes, also when the connection closes after it.
    @Test(arguments: ["keep-alive", "close"]) func aSlowClientGetsItsWholeAnswer(_ connection: String) async throws {
        try await TestServer.run({
            $0.limits.readTime = .milliseconds(1500)
            $0.limits.bodyBytes = 8 << 20
            $0.port = 0
        }) { server in
            let body = try Self.longAnswer()
            try await server.listening { port in
                let count = try await withCheckedThrowingContinuation { continuation in
                    DispatchQueue.global().async {
                        continuation.resume(
                            with: Result {
                                let client = try HTTPConnection(port: port)
                                client.pause = 20_000
                                try client.send(
                                    "POST", "/detokenize", body, headers: ["Connection": connection])
                                return try client.readAnswer().body.count
                            })
                    }
                }
                #expect(count > 16_000_000)
            }
        }
    }

    /// A small request is answered before large ones that came first, and before constraints that are costly to compile.
    @Test(arguments: [
        ("/tokenize", #"{"content":"\#(String(repeating: "a", count: 400_000))"}"#, 24),
        ("/v1/completions", #"{"prompt":"x","guided_regex":"((a{1,100}){1,100}){1,100}"}"#, 8),
    ])
    func smallBodiesDoNotWaitForCostlyOnes(_ path: String, _ body: String, _ count: Int) async throws {
        try await TestServer.run { server in
            // Where other tests keep all threads busy, the small request may come late: that it is ever answered early counts.
            for _ in 0..<5 {
                let after = try await withThrowingTaskGroup(of: Bool.self) { group in
                    for _ in 0..<count {
                        group.addTask {
                            _ = try await server.send(.post, path, body)
                            return true
                        }
                    }
                    // The others have come when the first is answered.
                    _ = try await group.next()
                    group.addTask {
                        _ = try await server.send(.post, "/tokenize", #"{"content":"x"}"#)
                        return false
                    }
                    var after = 0
                    while let isCostly = try await group.next(), isCostly { after += 1 }
                    group.cancelAll()
                    return after
                }
                if after < count - 2 { return }
            }
            Issue.record("a small body waited for all others")
        }
    }

    /// All that the server sends until it closes the connection, read by a thread that may wait.
    private static func answer(_ request: String, _ port: Int) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(
                    with: Result {
                        let connection = try HTTPConnection(port: port)
                        try connection.send(request)
                        return try connection.readToEnd()
                    })
            }
        }
    }
}
