import PhiFormat
import PhiSystem

/// A file that is locked (`flock`) while this object lives, as Hugging Face's library does it by its package filelock.
final class FileLock {
    private let descriptor: Int32

    /// Locks the file at `path`, or calls `wait` as long as another process has it. Throws what `wait` throws, and ``FormatError``
    /// when the file cannot be made. Where the file system has no locks, none is taken.
    init(_ path: FilePath, wait: () throws -> Void) throws {
        descriptor = try path.openLocked(mode: 0o664, flags: O_NOFOLLOW, whenHeld: wait)
        guard descriptor >= 0 else { throw FormatError(path, "cannot be made: \(String(cString: strerror(errno)))") }
    }

    // Called for an initialiser that throws, too, once all properties are set.
    deinit { if descriptor >= 0 { closeLocked(descriptor) } }
}
