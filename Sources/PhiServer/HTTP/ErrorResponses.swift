import Hummingbird
import Logging
import NIOHTTP1

/// Middleware that turns errors into responses in OpenAI's shape.
struct ErrorResponses: RouterMiddleware {
    let logger: Logger

    func handle(
        _ request: Request, context: PhiRequestContext, next: (Request, PhiRequestContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as HTTPParserError {
            throw error  // the body is not HTTP: the server itself answers and closes the connection
        } catch let error as APIError {
            context.notes.add("error", .string(error.message))
            return .error(error)
        } catch let error as HTTPError where error.status == .notFound {
            return .error(.notFound)
        } catch is CancellationError {
            return .error(.shuttingDown)
        } catch {
            logger.error(
                "request failed", metadata: ["request_id": .string(context.requestID), "error": .string("\(error)")])
            return .error(.internalError)
        }
    }
}
