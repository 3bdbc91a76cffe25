import HTTPTypes
import Hummingbird

/// Middleware that lets pages of other origins use the server: it answers their browsers' preflight requests and marks the
/// responses. Browsers keep other pages from reading responses and from sending JSON.
struct CrossOrigin: RouterMiddleware {
    /// The origins, such as `https://example.com`; `*` is any.
    let origins: Set<String>

    func handle(
        _ request: Request, context: PhiRequestContext, next: (Request, PhiRequestContext) async throws -> Response
    ) async throws -> Response {
        guard let origin = request.headers[.origin], !origins.isDisjoint(with: [origin, "*"]) else {
            return try await next(request, context)
        }
        let isPreflight = request.method == .options && request.headers[.accessControlRequestMethod] != nil
        var response = isPreflight ? Response(status: .noContent) : try await next(request, context)
        response.headers[.accessControlAllowOrigin] = origin
        response.headers[.vary] = "Origin"
        response.headers[.accessControlExposeHeaders] = "X-Request-Id, Retry-After"
        if isPreflight {
            response.headers[.accessControlAllowMethods] = "GET, HEAD, POST"
            response.headers[.accessControlAllowHeaders] =
                request.headers[.accessControlRequestHeaders] ?? "Authorization, Content-Type"
            response.headers[.accessControlMaxAge] = "600"
        }
        return response
    }
}
