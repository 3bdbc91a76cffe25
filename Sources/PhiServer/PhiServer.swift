import CoreMetrics
import Hummingbird
import Logging
import Phi
import ServiceLifecycle

/// An HTTP server for a model, with the interface of OpenAI's completions.
///
/// It keeps nothing that outlives it, and one that is started with the same file gives the same answers, so any number of
/// them may stand behind one address.
public struct PhiServer: Sendable {
    private let settings: ServerSettings
    private let scheduler: Scheduler
    private let responder: Responder
    private let logger: Logger

    /// Prepares a server of `model` under `name`. Throws ``SessionError`` when a setting is out of range or the memory is not
    /// there.
    public init(
        _ model: LanguageModel, name: String, _ settings: ServerSettings, logger: Logger,
        metrics registry: PrometheusRegistry
    ) throws {
        let metrics = ServerMetrics(factory: registry)
        self.settings = settings
        self.logger = logger
        scheduler = try Scheduler(model, settings.scheduler, metrics)
        responder = Responder(
            completions: CompletionsRoute(
                model: ServedModel(model, name: name, context: scheduler.context), scheduler: scheduler,
                limits: settings.limits, parser: BodyParser(), logsPrompts: settings.logsPrompts),
            keys: APIKeys(settings.apiKeys), metrics: metrics, metricsText: { registry.text }, logger: logger)
    }

    /// Serves until SIGTERM or SIGINT comes, then takes no more requests, finishes those that it has and returns. `onRunning`
    /// gets the port.
    public func run(onRunning: @escaping @Sendable (Int) -> Void = { _ in }) async throws {
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        let application = Application(
            responder: responder,
            server: .http1(
                configuration: .init(
                    additionalChannelHandlers: [ConnectionWatch()],
                    idleTimeout: .seconds(settings.idle.components.seconds),
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 32 << 10, maxHeaderFieldCount: 100))),
            configuration: ApplicationConfiguration(
                address: .hostname(settings.host, port: settings.port), serverName: "phi-server",
                availableConnectionsDelegate: .maximum(settings.connections, logger: quiet)),
            onServerRunning: { channel in onRunning(channel.localAddress?.port ?? settings.port) }, logger: quiet)
        var group = ServiceGroupConfiguration(
            // Ended one after the other, the last first.
            services: [application, Drain(scheduler: scheduler, duration: settings.drain, logger: logger)],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet)
        // Whatever does not let go after that is let go of.
        group.maximumGracefulShutdownDuration = settings.drain + .seconds(10)
        try await ServiceGroup(configuration: group).run()
        scheduler.drain(for: .zero)
        scheduler.waitUntilDone()
    }
}

/// Begins to end the scheduler when the server begins to end.
private struct Drain: Service {
    let scheduler: Scheduler
    let duration: Duration
    let logger: Logger

    func run() async throws {
        try await gracefulShutdown()
        logger.notice("shutting down", metadata: ["seconds": .stringConvertible(Int(duration.components.seconds))])
        scheduler.drain(for: duration)
    }
}

/// How a server is set up.
public struct ServerSettings: Sendable {
    /// Where it listens.
    public var host = "127.0.0.1"
    /// Where it listens; 0 for a port that is free.
    public var port = 8080
    /// Connections that are open at once; more wait.
    public var connections = 1024
    /// A connection without a request is closed after that.
    public var idle = Duration.seconds(60)
    /// Time that requests have to end when the server does.
    public var drain = Duration.seconds(30)
    /// Keys of which requests must bring one, if there are any.
    public var apiKeys: [String] = []
    /// Whether prompts are logged.
    public var logsPrompts = false
    /// What a request may ask for.
    public var limits = RequestLimits()
    /// How texts are made.
    public var scheduler = SchedulerSettings()

    /// The defaults.
    public init() {}
}
