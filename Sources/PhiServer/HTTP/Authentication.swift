import Hummingbird
import PhiFormat

/// Middleware that refuses requests without a valid API key.
struct Authentication: RouterMiddleware {
    let keys: APIKeys

    func handle(
        _ request: Request, context: PhiRequestContext, next: (Request, PhiRequestContext) async throws -> Response
    ) async throws -> Response {
        guard keys.accept(request.headers[.authorization]) else { throw APIError.wrongKey }
        return try await next(request, context)
    }
}

/// The valid API keys; without any, requests need none.
package struct APIKeys: Sendable {
    private let digests: [[UInt8]]

    package init(_ keys: [String]) { digests = keys.map(Self.digest) }

    /// Whether a request with this `Authorization` header is allowed. The time does not depend on the header: all keys' digests
    /// are compared to their last byte.
    package func accept(_ header: String?) -> Bool {
        if digests.isEmpty { return true }
        let given = Self.digest(Self.key(in: header ?? ""))
        var isKnown: UInt8 = 0
        for digest in digests {
            let difference = zip(digest, given).reduce(0 as UInt8) { $0 | ($1.0 ^ $1.1) }
            isKnown |= difference == 0 ? 1 : 0
        }
        return isKnown == 1
    }

    private static func key(in header: String) -> String {
        let scheme = "bearer "
        return header.lowercased().hasPrefix(scheme) ? String(header.dropFirst(scheme.count)) : ""
    }

    private static func digest(_ key: String) -> [UInt8] {
        Array(key.utf8).withUnsafeBytes { SHA256Digest($0) }.bytes
    }
}
