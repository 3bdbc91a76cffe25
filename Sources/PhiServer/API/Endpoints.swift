import Hummingbird
import Logging

/// The handlers of all endpoints, each in a file of its own, and the services that they share.
struct Endpoints: Sendable {
    let model: ServedModel
    let queue: RequestQueue
    let slotCount: Int
    let limits: RequestLimits
    let parser: BodyParser
    let logsPrompts: Bool
    let registry: PrometheusRegistry

    /// Returns the router of all endpoints. An endpoint is a handler and a line here.
    func router(
        keys: APIKeys, hosts: AllowedHosts, origins: Set<String>, metrics: ServerMetrics, logger: Logger
    ) -> Router<PhiRequestContext> {
        let router = Router(context: PhiRequestContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: RequestRecorder(timeLimit: limits.time, metrics: metrics, logger: logger))
        if !origins.isEmpty { router.add(middleware: CrossOrigin(origins: origins)) }
        router.add(middleware: ErrorResponses(logger: logger))
        router.add(middleware: hosts)
        router.get("/", use: playground)
        router.get("/health", use: health)
        router.refuseOtherMethods()
        // Middleware applies to the routes that follow it: the two above need no API key.
        router.add(middleware: Authentication(keys: keys))
        router.get("/metrics", use: prometheusMetrics)
        router.get("/v1/models", use: models)
        router.get("/v1/models/**", use: modelByName)
        router.post("/v1/completions", use: completions)
        for path in ["/completion", "/completions"] as [RouterPath] { router.post(path, use: llamaCompletion) }
        router.post("/infill", use: refuseInfill)
        router.get("/props", use: props)
        router.get("/slots", use: slots)
        router.post("/v1/chat/completions", use: refuseChat)
        router.post("/v1/responses", use: refuseChat)
        router.post("/tokenize", use: tokenize)
        router.post("/detokenize", use: detokenize)
        router.refuseOtherMethods()
        return router
    }
}

extension Router<PhiRequestContext> {
    /// Answers the methods that the registered paths do not have with status 405 and the header `Allow`.
    fileprivate func refuseOtherMethods() {
        let all: [HTTPRequest.Method] = [.get, .head, .post, .put, .patch, .delete, .options, .trace, .connect]
        for (path, routes) in Dictionary(grouping: routes, by: \.path.description) {
            // The router itself adds HEAD to GET.
            let allowed = routes.flatMap { $0.method == .get ? [.get, .head] : [$0.method] }
            for method in all where !allowed.contains(method) {
                on(RouterPath(path), method: method) { _, _ -> Response in
                    throw APIError.wrongMethod(allowed: allowed)
                }
            }
        }
    }
}
