import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOEmbedded
import Phi
import PhiCommandSupport
import PhiServer
import PhiTestSupport
import Testing

/// A server of the built-in model in this process, without sockets: requests go to the router.
struct TestServer: Sendable {
    static let model = try? LanguageModel(ModelOptions.open(nil))
    /// The id of `<|endoftext|>`.
    static let endOfText: Int32 = 2047

    let server: PhiServer
    private let responder: RouterResponder<PhiRequestContext>
    private let registry: PrometheusRegistry
    private let logger: Logger

    /// Runs `test` with a server, whose engine has ended afterwards.
    static func run(
        _ change: (inout ServerSettings) -> Void = { _ in }, _ test: @Sendable (TestServer) async throws -> Void
    ) async throws {
        var settings = ServerSettings()
        settings.batching.threads = 1
        settings.limits.sequences = 20_000
        change(&settings)
        let registry = PrometheusRegistry()
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let server = try PhiServer(
            #require(model), name: "small", settings, logger: logger, metrics: registry)
        defer {
            server.engine.queue.close(by: .now)
            server.engine.join()
        }
        let responder = server.application().responder
        try await test(TestServer(server: server, responder: responder, registry: registry, logger: logger))
    }

    /// Serves on the port of its settings, 0 for any, until `test` has ended, which is called with the port.
    func listening(_ test: @Sendable (Int) async throws -> Void) async throws {
        let (ports, running) = AsyncStream.makeStream(of: Int.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { running.finish() }
                try await server.application { running.yield($0) }.run()
            }
            try await test(#require(await ports.first { _ in true }))
            group.cancelAll()
        }
    }

    func send(
        _ method: HTTPRequest.Method, _ path: String, _ body: String? = nil, headers: [HTTPField.Name: String] = [:]
    ) async throws -> TestResponse {
        var all = HTTPFields()
        if let body { (all[.contentType], all[.contentLength]) = ("application/json", "\(body.utf8.count)") }
        for (name, value) in headers { all[name] = value }
        let request = Request(
            head: HTTPRequest(method: method, scheme: "http", authority: "localhost", path: path, headerFields: all),
            body: RequestBody(buffer: ByteBuffer(string: body ?? "")))
        let source = ApplicationRequestContextSource(channel: NIOAsyncTestingChannel(), logger: logger)
        let response = try await responder.respond(to: request, context: PhiRequestContext(source: source))
        let writer = BodyCollector()
        try await response.body.write(writer)
        return TestResponse(status: response.status, headers: response.headers, body: writer.bytes)
    }

    /// A completion that must succeed; `fields` are members of a JSON object.
    func complete(_ fields: String) async throws -> CompletionAnswer {
        let response = try await send(.post, "/v1/completions", "{\(fields)}")
        try #require(response.status == .ok, "\(response.text)")
        return try response.json(CompletionAnswer.self)
    }

    /// The events of a streamed completion and its last data, `[DONE]` or an error.
    func stream(_ fields: String) async throws -> (events: [CompletionAnswer], last: String) {
        let response = try await send(.post, "/v1/completions", "{\(fields),\"stream\":true}")
        try #require(response.status == .ok, "\(response.text)")
        #expect(response.headers[.contentType]?.hasPrefix("text/event-stream") == true)
        var events = response.text.components(separatedBy: "\n\n").dropLast().map { String($0.dropFirst(6)) }
        let last = events.removeLast()
        return (try events.map { try JSONDecoder().decode(CompletionAnswer.self, from: Data($0.utf8)) }, last)
    }

    /// The value of a metric, with its labels if it has any; 0 when it was not recorded.
    func metric(_ name: String) -> Double {
        registry.text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
            .flatMap { Double($0.dropFirst(name.count + 1)) } ?? 0
    }

    /// Waits until a metric has a value, at most ten seconds.
    func wait(for name: String, toBe value: Double, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        for _ in 0..<2000 {
            if metric(name) == value { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("\(name) does not become \(value)", sourceLocation: sourceLocation)
    }

    /// Waits until a metric has reached a value, at most ten seconds.
    func wait(for name: String, toAtLeast value: Double) async throws {
        for _ in 0..<2000 where metric(name) < value { try await Task.sleep(for: .milliseconds(5)) }
    }

    /// A request that takes an hour, on any machine longer than a test: many sequences without an end.
    static let endless = #""prompt":"x","n":20000,"max_tokens":1000,"logit_bias":{"2047":-100}"#
}

/// The bytes of a response's body.
private final class BodyCollector: ResponseBodyWriter {
    private(set) var bytes = ByteBuffer()

    func write(_ buffer: ByteBuffer) { bytes.writeImmutableBuffer(buffer) }
    func finish(_ trailingHeaders: HTTPFields?) {}
}

/// A response that is complete.
struct TestResponse {
    let status: HTTPResponse.Status
    let headers: HTTPFields
    let body: ByteBuffer

    var text: String { String(buffer: body) }

    func json<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try JSONDecoder().decode(type, from: Data(buffer: body))
    }

    var error: ErrorAnswer.Fault { get throws { try json(ErrorAnswer.self).error } }
}

/// The completion of a prompt by a session of its own, which no other sequence shares.
func completedAlone(
    _ prompt: String, _ tokens: Int, temperature: Double = 0, seed: UInt64 = 0, stop: [String] = [],
    logprobs: Int? = nil
) throws -> Completion {
    let session = try Session(#require(TestServer.model), threads: 1)
    let options = try GenerationOptions(
        maximumTokens: tokens, sampling: SamplingOptions(temperature: temperature, seed: seed), stop: stop,
        logProbabilities: logprobs)
    return try session.complete(prompt, options)
}
