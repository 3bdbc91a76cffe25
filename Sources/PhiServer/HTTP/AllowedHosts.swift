import HTTPTypes
import Hummingbird
import NIOCore

/// Middleware that checks the header `Host`. A page whose name leads to this machine (DNS rebinding) has the server's origin for
/// a browser, but its own name is in the header.
struct AllowedHosts: RouterMiddleware {
    /// The names, in lower case; nil for any.
    private let names: Set<String>?

    /// Allows `names`, `localhost` and addresses; any name if `names` is empty and the server, at `host`, is for other machines
    /// too.
    init(_ names: [String], host: String) {
        let isLocal = Self.isLoopback(host)
        self.names = names.isEmpty && !isLocal ? nil : Set((names + [host, "localhost"]).map { $0.lowercased() })
    }

    func handle(
        _ request: Request, context: PhiRequestContext, next: (Request, PhiRequestContext) async throws -> Response
    ) async throws -> Response {
        guard let name = request.head.authority.flatMap(Self.name) else { throw APIError.noHost }
        guard names.map({ $0.contains(name) || Self.isAddress(name) }) ?? true else { throw APIError.wrongHost }
        return try await next(request, context)
    }

    /// The name in a `Host` header, which may have a port; nil if it is malformed.
    static func name(_ host: String) -> String? {
        let end = host.hasPrefix("[") ? host.firstIndex(of: "]").map(host.index(after:)) : host.firstIndex(of: ":")
        guard !host.hasPrefix("[") || end != nil else { return nil }
        let (name, port) = (host[..<(end ?? host.endIndex)], host[(end ?? host.endIndex)...])
        let isPort = port.isEmpty || port.first == ":" && port.dropFirst().allSatisfy { $0.isASCII && $0.isNumber }
        guard !name.isEmpty, isPort else { return nil }
        return name.lowercased()
    }

    private static func isAddress(_ name: String) -> Bool {
        let bare = name.hasPrefix("[") ? String(name.dropFirst().dropLast()) : name
        return (try? SocketAddress(ipAddress: bare, port: 0)) != nil
    }

    /// Whether a server at `host`, a name or an address in any spelling, is for this machine alone.
    private static func isLoopback(_ host: String) -> Bool {
        guard let address = try? SocketAddress.makeAddressResolvingHost(host, port: 0).ipAddress else { return false }
        return address == "::1" || address.hasPrefix("127.") || address.hasPrefix("::ffff:127.")
    }
}
