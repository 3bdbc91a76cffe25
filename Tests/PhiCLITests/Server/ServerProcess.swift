import Foundation
import PhiTestSupport
import Testing

/// The built `phi-server` on a free port, ended with its test.
final class ServerProcess {
    let program: RunningProgram
    let port: Int
    private var isOver = false

    /// Starts it with the model at `path`; nil for the built-in one.
    convenience init(
        _ options: String..., path: String?, environment: [String: String] = [:], longest: Double = 600
    ) throws {
        try self.init(options: options, path: path, environment: environment, longest: longest)
    }

    /// Starts it with a model of a few thousand random weights.
    convenience init(_ options: String...) throws { try self.init(options: options, path: Models.path()) }

    private init(
        options: [String], path: String?, environment: [String: String] = [:], longest: Double = 300
    ) throws {
        let model = path.map { ["-m", $0] } ?? []
        program = try RunningProgram(
            Command.program("phi-server"), model + ["--port", "0"] + options, input: [], environment: environment,
            longest: longest)
        let line = program.readLine()
        guard let port = Int(line.split(separator: ":").last ?? "") else {
            let outcome = try program.wait()
            throw HTTPConnection.Failure(description: "the server did not start: \(line) \(outcome.errorText)")
        }
        self.port = port
    }

    deinit {
        if !isOver {
            program.signal(SIGKILL)
            _ = try? program.wait()
        }
    }

    /// The outcome of a server that must refuse to start.
    static func outcome(_ arguments: [String], environment: [String: String] = [:]) throws -> Outcome {
        try RunningProgram(Command.program("phi-server"), arguments, input: [], environment: environment).wait()
    }

    /// Asks it to end, and waits.
    func end(_ signal: Int32 = SIGTERM) throws -> Outcome {
        program.signal(signal)
        isOver = true
        return try program.wait()
    }

    func connect() throws -> HTTPConnection { try HTTPConnection(port: port) }

    /// One request on a connection of its own.
    func request(
        _ method: String, _ path: String, _ body: String? = nil, headers: [String: String] = [:]
    ) throws -> HTTPConnection.Answer {
        let connection = try connect()
        try connection.send(method, path, body.map { Array($0.utf8) }, headers: headers)
        return try connection.readAnswer()
    }

    /// A completion that must succeed.
    func complete(_ fields: [String: Any]) throws -> CompletionAnswer {
        let answer = try request("POST", "/v1/completions", Self.json(fields))
        try #require(answer.status == 200, "\(answer.text)")
        return try answer.json(CompletionAnswer.self)
    }

    /// Status and error of a completion that must be refused.
    func refusal(_ body: String, path: String = "/v1/completions") throws -> (status: Int, error: ErrorAnswer.Fault) {
        let answer = try request("POST", path, body)
        return (answer.status, try answer.json(ErrorAnswer.self).error)
    }

    /// A streamed completion, event by event.
    func stream(_ fields: [String: Any]) throws -> [CompletionAnswer] {
        let connection = try connect()
        try connection.send("POST", "/v1/completions", Array(Self.json(fields.merging(["stream": true]) { $1 }).utf8))
        let head = try connection.readHead()
        try #require(head.status == 200)
        #expect(head.headers["content-type"]?.hasPrefix("text/event-stream") == true)
        var events: [CompletionAnswer] = []
        while let event = try connection.readEvent() {
            if event == "[DONE]" {
                #expect(try connection.readEvent() == nil)
                return events
            }
            events.append(try JSONDecoder().decode(CompletionAnswer.self, from: Data(event.utf8)))
        }
        Issue.record("the stream has no last event")
        return events
    }

    /// The value of a metric without labels.
    func metric(_ name: String) throws -> Double? {
        try request("GET", "/metrics").text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
            .flatMap { Double($0.dropFirst(name.count + 1)) }
    }

    /// Waits until a metric has a value, at most ten seconds.
    func wait(for name: String, toBe value: Double, sourceLocation: SourceLocation = #_sourceLocation) throws {
        for _ in 0..<1000 {
            if try metric(name) == value { return }
            Thread.sleep(forTimeInterval: 0.01)
        }
        Issue.record("\(name) does not become \(value)", sourceLocation: sourceLocation)
    }

    static func json(_ fields: [String: Any]) -> String {
        let data = try? JSONSerialization.data(withJSONObject: fields, options: [.sortedKeys])
        return String(decoding: data ?? Data(), as: UTF8.self)
    }
}
