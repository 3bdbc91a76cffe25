import CPhiSupport

extension ReadableFile {
    /// SHA-256 (FIPS 180-4) of the whole file in lower-case hexadecimal, read a mebibyte at a time. Throws ``FormatError`` when
    /// the file cannot be read, and `CancellationError` when `shouldContinue`, asked before each, says so.
    public func sha256(while shouldContinue: () -> Bool = { true }) throws -> String {
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
