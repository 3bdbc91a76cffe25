/// Writes all of `bytes` to a descriptor and goes on after signals; returns false when it cannot, with the error in `errno`.
package func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var done = 0
    while done < bytes.count {
        let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done) }
        if count > 0 {
            done += count
        } else if count == 0 || errno != EINTR {
            return false
        }
    }
    return true
}

/// Writes all of `bytes` at an offset of a file, in pieces of at most 256 MiB, and goes on after signals; returns false when it
/// cannot, with the error in `errno`.
package func writeAll(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, at offset: Int) -> Bool {
    var done = 0
    while done < bytes.count {
        let piece = UnsafeRawBufferPointer(rebasing: bytes[done..<min(done + 1 << 28, bytes.count)])
        let count = pwrite(descriptor, piece.baseAddress, piece.count, off_t(offset + done))
        if count > 0 {
            done += count
        } else if count == 0 || errno != EINTR {
            return false
        }
    }
    return true
}
