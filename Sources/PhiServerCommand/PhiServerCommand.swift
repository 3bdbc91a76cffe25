import ArgumentParser
import Logging
import NIOCore
import Phi
import PhiFormat
import PhiCommandSupport
import PhiServer
import PhiSystem

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The `phi-server` command.
@main
struct PhiServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "phi-server",
        abstract: "Serves a phi model over HTTP, with the interfaces of OpenAI and llama-server for completions.",
        discussion: """
            Requests are batched; each result equals `phi complete` with the same seed. Without -m, the built-in small \
            model is served. The address is printed once the server listens. SIGTERM and Ctrl-C let running requests \
            finish; a second one ends them. API keys are read from --api-key-file and from the environment variable PHI_SERVER_API_KEY.
            """,
        version: swiftPhiVersion)

    @OptionGroup var model: ModelOptions
    @OptionGroup var session: SessionOptions
    @OptionGroup var speculation: SpeculationOptions

    @Option(help: "The address to listen on; 0.0.0.0 accepts connections from other machines.")
    var host = "127.0.0.1"

    @Option(help: "The port to listen on; 0 for a free one.")
    var port = 8080

    @Option(help: "Sequences that are computed at once.")
    var parallel = 8

    @Option(help: "Sequences that may wait for a slot before requests are refused with status 429.")
    var queue = 64

    @Option(help: ArgumentHelp("Memory of the prefix cache.", valueName: "MiB"))
    var prefixCache = 512

    @Option(
        help: ArgumentHelp(
            "A directory of this user's alone in which prefixes that leave the cache are saved, also at the end.",
            valueName: "directory"))
    var cacheDir: FilePath?

    @Option(help: ArgumentHelp("Size limit of the files in --cache-dir. Without it, 4096.", valueName: "MiB"))
    var cacheDirLimit: Int?

    @Option(help: ArgumentHelp("Time limit of a request, its time in the queue included.", valueName: "seconds"))
    var timeout = 600

    @Option(help: ArgumentHelp("How long requests may continue when the server shuts down.", valueName: "seconds"))
    var drain = 30

    @Option(help: ArgumentHelp("Size limit of a request's body.", valueName: "bytes"))
    var maxBody = 1 << 20

    @Option(help: "Sequences that one request may generate: prompts times n.")
    var maxTexts = 128

    @Option(help: "Limit of open connections; a further one ends the one that is idle longest.")
    var maxConnections = 1024

    @Option(
        help: ArgumentHelp(
            """
            A name in the header Host that is allowed, beside localhost and addresses; may be repeated. Without it, any name \
            is, unless --host is an address of this machine alone.
            """, valueName: "name"))
    var allowHost: [String] = []

    @Option(
        help: ArgumentHelp(
            "An origin whose pages may use the server, such as https://example.com, or * for any; may be repeated.",
            valueName: "origin"))
    var allowOrigin: [String] = []

    @Flag(help: "Refuse requests with unknown fields, which otherwise get a warning.")
    var strict = false

    @Option(help: "The model's name in requests and responses. Without it, the file's.")
    var modelName: TextArgument?

    @Option(
        help: "A file of API keys, one a line; lines that begin with # are comments. Requests then need one of them.")
    var apiKeyFile: FilePath?

    @Option(help: "The format of log lines: text or json.")
    var logFormat = LogFormat.text

    @Option(help: "The lowest level that is logged: trace, debug, info, notice, warning, error or critical.")
    var logLevel = Logger.Level.info

    @Flag(help: "Log prompts too.")
    var logPrompts = false

    func validate() throws {
        let ranges = [
            ("--port", port, 0...65_535), ("--parallel", parallel, 1...Engine.sessionsAtOnce),
            ("--queue", queue, 1...100_000), ("--prefix-cache", prefixCache, 0...1 << 24),
            ("--cache-dir-limit", cacheDirLimit ?? 1, 1...1 << 24), ("--timeout", timeout, 1...86_400),
            ("--drain", drain, 0...86_400), ("--max-body", maxBody, 1...1 << 30), ("--max-texts", maxTexts, 1...10_000),
            ("--max-connections", maxConnections, 2...1_000_000),
        ]
        for (name, value, range) in ranges where !range.contains(value) {
            throw ValidationError("\(name) takes \(range.lowerBound) to \(range.upperBound).")
        }
        if let modelName, modelName.bytes.isEmpty { throw ValidationError("--model-name is empty.") }
        if cacheDirLimit != nil, cacheDir == nil { throw ValidationError("--cache-dir-limit needs --cache-dir.") }
        for name in allowHost where !HostName.isValid(name) {
            throw ValidationError("--allow-host takes a name without scheme and port, not '\(name)'.")
        }
        for origin in allowOrigin where Origin.normalised(origin) == nil {
            throw ValidationError("--allow-origin takes an origin such as https://example.com, or *, not '\(origin)'.")
        }
    }

    func run() async throws {
        var settings = try settings()
        let opened = try model.open()
        settings.batching.speculation = try speculation.speculation(opened)
        ThreadCounts.start(session.threads)
        let registry = PrometheusRegistry()
        let logFormat = logFormat
        let logLevel = logLevel
        LoggingSystem.bootstrap { _ in LineLog(logFormat, level: logLevel) }
        let logger = Logger(label: "phi-server")
        let name = modelName?.text ?? Self.name(of: model.model)
        let server = try PhiServer(opened, name: name, settings, logger: logger, metrics: registry)
        let host = host
        do {
            try await server.run { port in
                logger.notice(
                    "serving",
                    metadata: ["model": .string(name), "host": .string(host), "port": .stringConvertible(port)])
                // The address is the command's output; if nobody reads it, the server runs all the same.
                let shown = host.contains(":") ? "[\(host)]" : host
                try? Console.write("http://\(shown):\(port)\n")
            }
        } catch let error as IOError {
            throw FormatError("\(host):\(port)", String(cString: strerror(error.errnoCode)))
        }
    }

    /// The file's name without its extension.
    private static func name(of path: FilePath?) -> String {
        path.map { URL(fileURLWithPath: $0.name).deletingPathExtension().lastPathComponent } ?? "phi-small"
    }

    private func settings() throws -> ServerSettings {
        var settings = ServerSettings()
        settings.host = host
        settings.port = port
        guard (try? SocketAddress.makeAddressResolvingHost(host, port: port)) != nil else {
            throw FormatError("--host \(host)", "is no address, and no name that has one")
        }
        settings.connections = try FileSupply.connections(atMost: maxConnections)
        settings.allowedHosts = allowHost
        settings.allowedOrigins = allowOrigin.compactMap(Origin.normalised)
        settings.drain = .seconds(drain)
        settings.apiKeys = try apiKeys()
        settings.logsPrompts = logPrompts
        settings.limits.bodyBytes = maxBody
        settings.limits.sequences = maxTexts
        settings.limits.isStrict = strict
        settings.limits.time = .seconds(timeout)
        settings.batching.slots = parallel
        settings.batching.context = session.context
        settings.batching.threads = session.threads
        settings.batching.cacheEncoding = session.kvCache
        settings.batching.queue = queue
        settings.batching.prefixCacheBytes = prefixCache << 20
        settings.batching.prefixDirectory = cacheDir
        if let cacheDirLimit { settings.batching.prefixDirectoryBytes = cacheDirLimit << 20 }
        return settings
    }

    /// Empty keys are refused: a server that was meant to require one must not be public.
    private func apiKeys() throws -> [String] {
        var keys: [String] = []
        if let key = ProcessInfo.processInfo.environment["PHI_SERVER_API_KEY"] {
            keys += try APIKeyFile.keys(Array(key.utf8), of: "PHI_SERVER_API_KEY")
        }
        if let apiKeyFile {
            let bytes = try Console.read(apiKeyFile, limit: 1 << 20)
            keys += try APIKeyFile.keys(bytes, of: Console.name(of: apiKeyFile), hasComments: true)
        }
        return keys
    }

    static func main() async {
        CommandProcess.prepare()
        do {
            var command = try parsed()
            if let server = command as? PhiServerCommand {
                // Those of NIO, its file reader and Swift's pool, one for each core, and a few single ones. Those that compute may be fewer.
                try ThreadSupply.check(3 * System.coreCount + 8)
                try await server.run()
            } else {
                try command.run()
            }
        } catch {
            exit(reporting: error)
        }
    }
}

extension LogFormat: ExpressibleByArgument {}
extension Logger.Level: @retroactive ExpressibleByArgument {}
