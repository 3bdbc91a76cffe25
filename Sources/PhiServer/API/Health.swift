import Hummingbird

/// The response of `/health`.
private struct HealthResponse: Encodable {
    let status: String
}

extension Endpoints {
    /// `GET /health`: status 200 while requests are accepted and the engine makes progress, else 503.
    func health(_ request: Request, _ context: PhiRequestContext) -> Response {
        let fault = queue.isClosed ? "shutting down" : queue.isStuck ? "stuck" : nil
        return .json(HealthResponse(status: fault ?? "ok"), status: fault == nil ? .ok : .serviceUnavailable)
    }
}
