import CPhiSupport

/// A SHA-256 digest (FIPS 180-4).
public struct SHA256Digest: Sendable, Hashable, CustomStringConvertible {
    /// Its 32 bytes.
    public let bytes: [UInt8]

    /// The digest of `bytes`.
    package init(_ bytes: UnsafeRawBufferPointer) {
        var hash = phi_sha256()
        phi_sha256_begin(&hash)
        phi_sha256_add(&hash, bytes.baseAddress, bytes.count)
        self.init(finishing: &hash)
    }

    /// The digest of what `hash` has been given.
    package init(finishing hash: inout phi_sha256) {
        var digest = [UInt8](repeating: 0, count: 32)
        phi_sha256_end(&hash, &digest)
        bytes = digest
    }

    /// Lower-case hexadecimal.
    public var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}

extension ReadableFile {
    /// SHA-256 (FIPS 180-4) of the whole file in lower-case hexadecimal, read a mebibyte at a time. Throws ``FormatError`` when
    /// the file cannot be read, and `CancellationError` when `shouldContinue`, asked before each, says so.
    package func sha256(while shouldContinue: () -> Bool = { true }) throws -> String {
        var hash = phi_sha256()
        phi_sha256_begin(&hash)
        var done = 0
        while done < size {
            guard shouldContinue() else { throw CancellationError() }
            let piece = try readBytes(at: done, count: min(1 << 20, size - done))
            phi_sha256_add(&hash, piece, piece.count)
            done += piece.count
        }
        return SHA256Digest(finishing: &hash).description
    }
}
