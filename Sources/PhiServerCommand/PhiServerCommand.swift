import ArgumentParser
import CoreMetrics
import Foundation
import Logging
import NIOCore
import Phi
import PhiFormat
import PhiCommandSupport
import PhiServer

/// The `phi-server` command.
@main
struct PhiServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "phi-server",
        abstract: "Serves a phi model over HTTP, with the interface of OpenAI's completions.",
        discussion: """
            Without -m, the small model that is built in is served. Where it listens is printed when it does. SIGTERM and \
            Ctrl-C let requests end first. Keys that requests must bring are read from --api-key-file, one a line, or from \
            the environment variable PHI_SERVER_API_KEY.
            """,
        version: swiftPhiVersion)

    @OptionGroup var model: ModelOptions
    @OptionGroup var session: SessionOptions

    @Option(help: "The address to listen at. Others than this machine reach 0.0.0.0.")
    var host = "127.0.0.1"

    @Option(help: "The port to listen at; 0 takes one that is free.")
    var port = 8080

    @Option(help: "Texts that are made at once.")
    var parallel = 8

    @Option(help: "Texts that wait before further requests are answered with 429.")
    var queue = 64

    @Option(
        help: ArgumentHelp("Memory that finished texts may keep for prompts that begin like them.", valueName: "MiB"))
    var prefixCache = 512

    @Option(help: ArgumentHelp("The longest that a request may take.", valueName: "seconds"))
    var timeout = 600

    @Option(help: ArgumentHelp("Time that requests have to end when the server ends.", valueName: "seconds"))
    var drain = 30

    @Option(help: ArgumentHelp("The longest body that a request may have.", valueName: "bytes"))
    var maxBody = 1 << 20

    @Option(help: "Texts that one request may make.")
    var maxTexts = 128

    @Option(help: "Connections that are open at once.")
    var maxConnections = 1024

    @Option(help: "The name of the model for clients. Without it, the file's.")
    var modelName: String?

    @Option(help: "A file of keys, one a line, of which requests must bring one.")
    var apiKeyFile: String?

    @Option(help: "Log lines for people (text) or for machines (json).")
    var logFormat = LogFormat.text

    @Option(help: "What is logged: trace, debug, info, notice, warning, error or critical, and all worse.")
    var logLevel = Logger.Level.info

    @Flag(help: "Log prompts too.")
    var logPrompts = false

    func validate() throws {
        let ranges = [
            ("--port", port, 0...65_535), ("--parallel", parallel, 1...Engine.sessionsAtOnce),
            ("--queue", queue, 1...100_000), ("--prefix-cache", prefixCache, 0...1 << 24),
            ("--timeout", timeout, 1...86_400),
            ("--drain", drain, 0...86_400), ("--max-body", maxBody, 1...1 << 30), ("--max-texts", maxTexts, 1...10_000),
            ("--max-connections", maxConnections, 1...1_000_000),
        ]
        for (name, value, range) in ranges where !range.contains(value) {
            throw ValidationError("\(name) takes \(range.lowerBound) to \(range.upperBound).")
        }
        if let modelName, modelName.isEmpty { throw ValidationError("--model-name is empty.") }
    }

    func run() async throws {
        let settings = try settings()
        let opened = try model.open()
        let registry = PrometheusRegistry(help: ServerMetrics.help)
        let logFormat = logFormat
        let logLevel = logLevel
        LoggingSystem.bootstrap { _ in LineLog(logFormat, level: logLevel) }
        let logger = Logger(label: "phi-server")
        let name = modelName ?? Self.name(of: model.model)
        let server = try PhiServer(opened, name: name, settings, logger: logger, metrics: registry)
        let host = host
        do {
            try await server.run { port in
                logger.notice(
                    "serving",
                    metadata: ["model": .string(name), "host": .string(host), "port": .stringConvertible(port)])
                // Where it listens is its result; nobody may be waiting for it.
                let shown = host.contains(":") ? "[\(host)]" : host
                try? FileHandle.standardOutput.write(contentsOf: Data("http://\(shown):\(port)\n".utf8))
            }
        } catch let error as IOError {
            throw FormatError("\(host):\(port)", String(cString: strerror(error.errnoCode)))
        }
    }

    /// The file's name without its ending.
    private static func name(of path: String?) -> String {
        path.map { URL(fileURLWithPath: $0).deletingPathExtension().lastPathComponent } ?? "phi-small"
    }

    private func settings() throws -> ServerSettings {
        var settings = ServerSettings()
        settings.host = host
        settings.port = port
        settings.connections = maxConnections
        settings.drain = .seconds(drain)
        settings.apiKeys = try apiKeys()
        settings.logsPrompts = logPrompts
        settings.limits.bodyBytes = maxBody
        settings.limits.texts = maxTexts
        settings.limits.time = .seconds(timeout)
        settings.scheduler.slots = parallel
        settings.scheduler.context = session.context
        settings.scheduler.threads = session.threads
        settings.scheduler.cacheEncoding = session.kvCache
        settings.scheduler.queue = queue
        settings.scheduler.prefixCacheBytes = prefixCache << 20
        return settings
    }

    private func apiKeys() throws -> [String] {
        var keys: [String] = []
        if let key = ProcessInfo.processInfo.environment["PHI_SERVER_API_KEY"], !key.isEmpty { keys.append(key) }
        guard let apiKeyFile else { return keys }
        let text = String(decoding: try ReadableFile(path: apiKeyFile).readAll(limit: 1 << 20), as: UTF8.self)
        let found = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
            .filter { !$0.isEmpty }
        // A server that was meant to be closed must not be open because a file is empty.
        guard !found.isEmpty else { throw FormatError(apiKeyFile, "has no key") }
        return keys + found
    }

    static func main() async {
        // A reader that went away is found by the write that fails.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot()
            if let server = command as? PhiServerCommand { try await server.run() } else { try command.run() }
        } catch {
            guard exitCode(for: error) == .failure, !(error is ExitCode) else { Self.exit(withError: error) }
            // One line, whatever the names of files hold.
            let fault = String("\(error)".map { $0.isNewline ? "\u{FFFD}" : $0 })
            try? FileHandle.standardError.write(contentsOf: Data("phi-server: \(fault)\n".utf8))
            Self.exit(withError: ExitCode.failure)
        }
    }
}

extension LogFormat: ExpressibleByArgument {}
extension Logger.Level: @retroactive ExpressibleByArgument {}
