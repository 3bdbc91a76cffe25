import PhiFormat

/// The keys that requests must bring one of, if there are any.
package struct APIKeys: Sendable {
    private let digests: [[UInt8]]

    package init(_ keys: [String]) { digests = keys.map(Self.digest) }

    /// Whether nobody needs a key.
    var isOpen: Bool { digests.isEmpty }

    /// Whether a request with this `Authorization` header may pass. Takes the same time whatever the header holds: all keys'
    /// hashes are compared to their last byte.
    package func accept(_ header: String?) -> Bool {
        if isOpen { return true }
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
