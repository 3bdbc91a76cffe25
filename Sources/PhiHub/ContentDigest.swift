import CPhiSupport
import PhiFormat

/// The digest by which the hub names a file's content, in lower-case hexadecimal.
package enum ContentDigest: Sendable, Equatable {
    case sha256(String)
    /// SHA-1 of git's header and the content.
    case git(String)

    /// Its name as a file of the cache, which is the hub's ETag.
    var name: String {
        switch self {
        case .sha256(let name), .git(let name): name
        }
    }

    var algorithm: String {
        switch self {
        case .sha256: "SHA-256"
        case .git: "git's SHA-1"
        }
    }
}

/// The computation of a ``ContentDigest``, piece by piece.
package enum ContentHash {
    case sha256(SHA256Hash)
    case git(phi_sha1)

    /// Begins the digest that `digest` is, of a content of `size` bytes.
    package init(_ digest: ContentDigest, size: Int) {
        switch digest {
        case .sha256: self = .sha256(SHA256Hash())
        case .git:
            var hash = phi_sha1()
            phi_sha1_begin(&hash)
            let header = Array("blob \(size)\0".utf8)
            phi_sha1_add(&hash, header, header.count)
            self = .git(hash)
        }
    }

    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        switch self {
        case .sha256(var hash):
            hash.add(bytes)
            self = .sha256(hash)
        case .git(var hash):
            phi_sha1_add(&hash, bytes.baseAddress, bytes.count)
            self = .git(hash)
        }
    }

    /// The digest of what was added.
    package func digest() -> ContentDigest {
        switch self {
        case .sha256(var hash):
            return .sha256(hash.digest().description)
        case .git(var hash):
            var bytes = [UInt8](repeating: 0, count: 20)
            phi_sha1_end(&hash, &bytes)
            return .git(bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
        }
    }
}
