import CoreMetrics
import Dispatch
import Hummingbird
import Logging
import Phi
import PhiSystem
import ServiceLifecycle
import Synchronization

/// An HTTP server for a model, with OpenAI's interface for completions.
///
/// It has no persistent state but prefixes, which do not affect results, and servers of the same model file, KV cache and context give the
/// same results, so any number of them may stand behind one address.
package struct PhiServer: Sendable {
    /// The thread that computes completions.
    package let engine: EngineThread
    private let settings: ServerSettings
    private let endpoints: Endpoints
    private let metrics: ServerMetrics
    private let connections: OpenConnections
    private let logger: Logger

    /// Makes a server of `model` under `name` and starts its engine. Throws ``SessionError`` when a setting is out of range or
    /// memory is short.
    package init(
        _ model: LanguageModel, name: String, _ settings: ServerSettings, logger: Logger,
        metrics registry: PrometheusRegistry
    ) throws {
        self.settings = settings
        self.logger = logger
        connections = OpenConnections(limit: settings.connections)
        metrics = ServerMetrics(registry)
        engine = try EngineThread(model, settings.batching, metrics) { logger.warning("\($0)") }
        endpoints = Endpoints(
            model: ServedModel(model, name: name, context: engine.context, cache: engine.cacheEncoding),
            queue: engine.queue,
            slotCount: settings.batching.slots, limits: settings.limits,
            parser: BodyParser(limit: settings.limits.bodyBytes),
            logsPrompts: settings.logsPrompts, registry: registry)
    }

    /// The HTTP application. `onRunning` is called with the port when it listens.
    package func application(
        onRunning: @escaping @Sendable (Int) -> Void = { _ in }
    ) -> Application<RouterResponder<PhiRequestContext>> {
        let (settings, connections) = (settings, connections)
        return Application(
            router: endpoints.router(
                keys: APIKeys(settings.apiKeys), hosts: AllowedHosts(settings.allowedHosts, host: settings.host),
                origins: Set(settings.allowedOrigins), metrics: metrics, logger: logger),
            server: .http1(
                configuration: .init(
                    additionalChannelHandlers: [
                        ConnectionWatch {
                            HTTPRules(settings.limits, connections)
                        }
                    ],
                    idleTimeout: .seconds(settings.idle.components.seconds),
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 32 << 10, maxHeaderFieldCount: 100))),
            configuration: ApplicationConfiguration(
                address: .hostname(settings.host, port: settings.port), serverName: "phi-server",
                availableConnectionsDelegate: .maximum(settings.connections, logger: frameworkLogger)),
            onServerRunning: { channel in onRunning(channel.localAddress?.port ?? settings.port) },
            logger: frameworkLogger)
    }

    /// Serves until SIGTERM or SIGINT, then refuses new requests, finishes the others and returns. A second signal ends them.
    package func run(onRunning: @escaping @Sendable (Int) -> Void) async throws {
        var group = ServiceGroupConfiguration(
            // Shut down one after the other, the last first.
            services: [
                application(onRunning: onRunning),
                Drain(queue: engine.queue, connections: connections, duration: settings.drain, logger: logger),
            ],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: frameworkLogger)
        group.maximumGracefulShutdownDuration = settings.drain + .seconds(10)
        try await ServiceGroup(configuration: group).run()
        engine.queue.close(by: .now)
        engine.join()
    }

    /// The logger of Hummingbird and the service group, for warnings and errors only.
    private var frameworkLogger: Logger {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        return quiet
    }
}

/// A service that closes the queue when the server begins to shut down, and later the connections.
private struct Drain: Service {
    let queue: RequestQueue
    let connections: OpenConnections
    let duration: Duration
    let logger: Logger

    func run() async throws {
        let signals = SecondSignal { [queue, connections, logger] in
            logger.notice("a second signal: running requests end")
            queue.close(by: .now)
            DispatchQueue.global().asyncAfter(deadline: .now() + 1) { connections.closeAll() }
        }
        try await gracefulShutdown()
        let seconds = duration.components.seconds
        logger.notice("shutting down", metadata: ["seconds": .stringConvertible(Int(seconds))])
        queue.close(by: .now + duration)
        // Clients have a little longer for what is not sent yet. This service ends at once, since the others wait for it.
        DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(Int(seconds) + 5)) {
            connections.closeAll()
            signals.stop()
        }
    }
}

/// Calls a function at the second SIGTERM or SIGINT.
private final class SecondSignal: Sendable {
    nonisolated(unsafe) private let sources: [any DispatchSourceSignal]
    private let count = Atomic<Int>(0)

    init(_ body: @escaping @Sendable () -> Void) {
        let queue = DispatchQueue(label: "signals")
        let sources = [SIGTERM, SIGINT].map { DispatchSource.makeSignalSource(signal: $0, queue: queue) }
        self.sources = sources
        for source in sources {
            source.setEventHandler { [weak self] in
                // One event may stand for several signals.
                let before = self?.count.add(Int(source.data), ordering: .relaxed).oldValue ?? 0
                if before < 2, before + Int(source.data) >= 2 { body() }
            }
            source.resume()
        }
    }

    func stop() {
        for source in sources { source.cancel() }
    }
}

/// Settings of a server.
package struct ServerSettings: Sendable {
    /// The address to listen on.
    package var host = "127.0.0.1"
    /// The port to listen on; 0 for a free one.
    package var port = 8080
    /// Names in the header `Host` that are allowed beside `localhost` and addresses; if there are none and `host` is not an
    /// address of this machine alone, any name is.
    package var allowedHosts: [String] = []
    /// Origins whose pages may use the server; `*` for any.
    package var allowedOrigins: [String] = []
    /// Connections that are open at once; a further one ends the one that is idle longest, or waits.
    package var connections = 1024
    /// How long a connection may be open without a request. Longer than proxies keep theirs (nginx: 60 s), so that they do not use
    /// one that is being closed, and than ``RequestLimits/bodyTime``.
    package var idle = Duration.seconds(75)
    /// How long requests may continue after shutdown has begun.
    package var drain = Duration.seconds(30)
    /// The valid API keys; without any, requests need none.
    package var apiKeys: [String] = []
    /// Whether prompts are logged.
    package var logsPrompts = false
    package var limits = RequestLimits()
    package var batching = BatchingSettings()

    /// The defaults.
    package init() {}
}
