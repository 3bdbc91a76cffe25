/// Writes all of `bytes` to a descriptor, goes on after signals and waits where it does not block; returns false when it cannot, with
/// the error in `errno`.
package func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
    var done = 0
    while done < bytes.count {
        let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done) }
        if count > 0 {
            done += count
        } else if count == 0 || !canGoOn(descriptor, POLLOUT) {
            return false
        }
    }
    return true
}

/// Whether a read or write that failed may be tried again: after a signal at once, where the descriptor does not block when it is
/// ready, which this waits for.
package func canGoOn(_ descriptor: Int32, _ events: Int32) -> Bool {
    if errno == EAGAIN || errno == EWOULDBLOCK {
        var waiting = [pollfd(fd: descriptor, events: Int16(events), revents: 0)]
        _ = poll(&waiting, nfds_t(1), -1)
        return true
    }
    return errno == EINTR
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
