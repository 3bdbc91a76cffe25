import PhiFormat
import PhiSystem

/// A file that is locked (`flock`) while this object lives, as Hugging Face's library does it by its package filelock.
final class FileLock {
    private let descriptor: Int32

    /// Locks the file at `path`, or calls `wait` as long as another process has it. Throws what `wait` throws, and ``FormatError``
    /// when the file cannot be made. Where the file system has no locks, none is taken.
    init(_ path: FilePath, wait: () throws -> Void) throws {
        while true {
            let descriptor = path.withCString { open($0, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o664) }
            guard descriptor >= 0 else {
                throw FormatError(path, "cannot be made: \(String(cString: strerror(errno)))")
            }
            if flock(descriptor, LOCK_EX | LOCK_NB) != 0, [EWOULDBLOCK, EACCES, EINTR].contains(errno) {
                close(descriptor)
                try wait()
                continue
            }
            // Some versions of filelock delete the file, so the lock may be of one that nobody else finds.
            var status = stat()
            if fstat(descriptor, &status) == 0, status.st_nlink > 0 {
                self.descriptor = descriptor
                return
            }
            close(descriptor)
        }
    }

    deinit { close(descriptor) }
}
