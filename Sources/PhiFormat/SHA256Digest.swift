import CPhiSupport

/// A SHA-256 digest (FIPS 180-4).
public struct SHA256Digest: Sendable, Hashable, CustomStringConvertible {
    /// Its 32 bytes.
    public let bytes: [UInt8]

    /// The digest of `parts`, one after the other.
    package init(_ parts: UnsafeRawBufferPointer...) {
        var hash = phi_sha256()
        phi_sha256_begin(&hash)
        for part in parts { phi_sha256_add(&hash, part.baseAddress, part.count) }
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
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }
}

extension ReadableFile {
    /// SHA-256 (FIPS 180-4) of the whole file in lower-case hexadecimal, read a mebibyte at a time. Throws ``FormatError`` when
    /// the file cannot be read, and `CancellationError` when `shouldContinue`, asked before each, says so.
    package func sha256(while shouldContinue: () -> Bool = { true }) throws -> String {
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { piece.deallocate() }
        var hash = phi_sha256()
        phi_sha256_begin(&hash)
        var done = 0
        while done < size {
            guard shouldContinue() else { throw CancellationError() }
            let part = UnsafeMutableRawBufferPointer(rebasing: piece[..<min(piece.count, size - done)])
            try read(at: done, into: part)
            phi_sha256_add(&hash, part.baseAddress, part.count)
            done += part.count
        }
        return SHA256Digest(finishing: &hash).description
    }
}
