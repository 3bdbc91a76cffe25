import PhiSystem

extension FilePath {
    /// Opens the file for reading and writing, makes it if it is missing, and locks it (`flock`) until the descriptor that is returned is
    /// closed; where the file system has no locks, none is taken. Calls `whenHeld` as long as another process has it. Returns a negative
    /// number when the file cannot be opened, with the error in `errno`.
    package func openLocked<Failure: Error>(
        mode: mode_t, flags: Int32 = 0, whenHeld: () throws(Failure) -> Void
    ) throws(Failure) -> Int32 {
        while true {
            let descriptor = withCString { open($0, O_RDWR | O_CREAT | O_CLOEXEC | flags, mode) }
            guard descriptor >= 0 else { return descriptor }
            if flock(descriptor, LOCK_EX | LOCK_NB) != 0, [EWOULDBLOCK, EACCES, EINTR].contains(errno) {
                let isHeld = errno != EINTR
                close(descriptor)
                if isHeld { try whenHeld() }
                continue
            }
            // Another process may have deleted or replaced the file before it let the lock go, which would be of one that nobody finds.
            var status = stat()
            if fstat(descriptor, &status) == 0, status.st_nlink > 0 { return descriptor }
            close(descriptor)
        }
    }
}

/// Releases the lock of a descriptor and closes it. A child of this process that has not yet executed its program has the descriptor
/// too, and would keep a lock that is only closed.
package func closeLocked(_ descriptor: Int32) {
    _ = flock(descriptor, LOCK_UN)
    close(descriptor)
}
