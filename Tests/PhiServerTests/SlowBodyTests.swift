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
