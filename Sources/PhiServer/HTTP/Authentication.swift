import Hummingbird
import PhiFormat

/// Middleware that refuses requests without a valid API key.
struct Authentication: RouterMiddleware {
    let keys: APIKeys

    func handle(
        _ request: Request, context: PhiRequestContext, next: (Request, PhiRequestContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.apiKey = try keys.check(request.headers[.authorization])
        return try await next(request, context)
    }
}

/// The text of API keys in a file or an environment variable.
package enum APIKeyFile {
    /// Returns the keys in `bytes`, one a line; if it `hasComments`, lines that begin with # are none. Throws ``FormatError`` about
    /// `source` when there is no key, or one that cannot stand in a header.
    package static func keys(
        _ bytes: [UInt8], of source: String, hasComments: Bool = false
    ) throws(FormatError) -> [String] {
        var keys: [String] = []
        let lines = bytes.split(omittingEmptySubsequences: false) { $0 == 0x0A || $0 == 0x0D }
        for (number, line) in lines.enumerated() {
            let blank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
            let key = Array(line.drop(while: blank).reversed().drop(while: blank).reversed())
            if key.isEmpty || hasComments && key.first == UInt8(ascii: "#") { continue }
            guard key.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                let place = hasComments ? "line \(number + 1) " : ""
                let advice = hasComments && key.contains(UInt8(ascii: "#")) ? "; comments have lines of their own" : ""
                throw FormatError(
                    source, "\(place)has a key with characters other than visible ones of ASCII\(advice)")
            }
            keys.append(String(decoding: key, as: UTF8.self))
        }
        guard !keys.isEmpty else { throw FormatError(source, "has no key") }
        return keys
    }
}

/// The valid API keys; without any, requests need none.
package struct APIKeys: Sendable {
    private let digests: [SHA256Digest]

    package init(_ keys: [String]) { digests = keys.map(Self.digest) }

    /// Returns the digest of the key in a request's `Authorization` header, or nil where no key is needed. Throws ``APIError`` when the
    /// request is not allowed. The time does not depend on the header: all keys' digests are compared to their last byte.
    package func check(_ header: String?) throws(APIError) -> SHA256Digest? {
        if digests.isEmpty { return nil }
        let given = Self.digest(Self.key(in: header ?? ""))
        var isKnown: UInt8 = 0
        for digest in digests {
            let difference = zip(digest.bytes, given.bytes).reduce(0 as UInt8) { $0 | ($1.0 ^ $1.1) }
            isKnown |= difference == 0 ? 1 : 0
        }
        guard isKnown == 1 else { throw .wrongKey }
        return given
    }

    private static func key(in header: String) -> String {
        let scheme = "bearer "
        return header.lowercased().hasPrefix(scheme) ? String(header.dropFirst(scheme.count)) : ""
    }

    private static func digest(_ key: String) -> SHA256Digest {
        Array(key.utf8).withUnsafeBytes { SHA256Digest($0) }
    }
}
