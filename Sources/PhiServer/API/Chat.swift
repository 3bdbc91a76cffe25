import Hummingbird

extension Endpoints {
    /// `POST /v1/chat/completions` and `/v1/responses`: always refused, with an error that names `/v1/completions`.
    func refuseChat(_ request: Request, _ context: PhiRequestContext) throws -> Response { throw APIError.noChat }
}
