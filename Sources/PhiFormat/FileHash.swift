import CPhiKernels

extension ReadableFile {
    /// SHA-256 (FIPS 180-4) of the whole file in lower-case hexadecimal, read a mebibyte at a time. Throws ``FormatError`` when
    /// the file cannot be read.
    public func sha256() throws(FormatError) -> String {
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { piece.deallocate() }
        var hash = phi_sha256()
        phi_sha256_begin(&hash)
        var done = 0
        while done < size {
            let part = UnsafeMutableRawBufferPointer(rebasing: piece[..<min(piece.count, size - done)])
            try read(at: done, into: part)
            phi_sha256_add(&hash, part.baseAddress, part.count)
            done += part.count
        }
        var digest = [UInt8](repeating: 0, count: 32)
        phi_sha256_end(&hash, &digest)
        let digits = Array("0123456789abcdef")
        return String(digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }
}
