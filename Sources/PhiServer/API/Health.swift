import Hummingbird

extension Endpoints {
    /// `GET /health`: status 200 while requests are accepted and the engine makes progress, else 503.
    func health(_ request: Request, _ context: PhiRequestContext) -> Response {
        let fault = queue.isClosed ? "shutting down" : queue.isStuck ? "stuck" : nil
        return .json(["status": fault ?? "ok"], status: fault == nil ? .ok : .serviceUnavailable)
    }
}
