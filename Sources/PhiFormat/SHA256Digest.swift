import CPhiSupport

/// A SHA-256 digest (FIPS 180-4).
public struct SHA256Digest: Sendable, Hashable, CustomStringConvertible {
    /// Its 32 bytes.
    public let bytes: [UInt8]

    /// The digest of `bytes`.
    package init(_ bytes: UnsafeRawBufferPointer) {
        var hash = SHA256Hash()
        hash.add(bytes)
        self = hash.digest()
    }

    /// The digest of what `hash` has been given.
    fileprivate init(finishing hash: inout phi_sha256) {
        var digest = [UInt8](repeating: 0, count: 32)
        phi_sha256_end(&hash, &digest)
        bytes = digest
    }

    /// Lower-case hexadecimal.
    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

/// The computation of a ``SHA256Digest``, piece by piece.
package struct SHA256Hash {
    private var hash = phi_sha256()

    package init() { phi_sha256_begin(&hash) }

    package mutating func add(_ bytes: UnsafeRawBufferPointer) {
        phi_sha256_add(&hash, bytes.baseAddress, bytes.count)
    }

    /// The digest of all that was added; nothing may be added afterwards.
    package mutating func digest() -> SHA256Digest { SHA256Digest(finishing: &hash) }
}

extension ReadableFile {
    /// SHA-256 (FIPS 180-4) of the whole file in lower-case hexadecimal, read a mebibyte at a time. Throws ``FormatError`` when
    /// the file cannot be read, and `CancellationError` when `shouldContinue`, asked before each, says so.
    package func sha256(while shouldContinue: () -> Bool = { true }) throws -> String {
        var hash = SHA256Hash()
        var done = 0
        while done < size {
            guard shouldContinue() else { throw CancellationError() }
            let piece = try readBytes(at: done, count: min(1 << 20, size - done))
            piece.withUnsafeBytes { hash.add($0) }
            done += piece.count
        }
        return hash.digest().description
    }
}
