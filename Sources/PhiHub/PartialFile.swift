import PhiFormat
import PhiSystem

/// The first part of a file that is downloaded, hashed while it is written. It stays when the download ends early.
final class PartialFile {
    let path: FilePath
    private(set) var size = 0
    private let file: KnownFile
    private var hash: ContentHash
    private let descriptor: Int32

    /// Opens or makes the part at `path`. Throws ``FormatError`` when it cannot.
    init(_ path: FilePath, of file: KnownFile) throws(FormatError) {
        self.path = path
        self.file = file
        hash = ContentHash(file.digest, size: file.size)
        descriptor = path.withCString { open($0, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o666) }
        guard descriptor >= 0 else { throw FormatError(path, "cannot be written: \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }

    /// Takes what is there already, if it is not too long. Throws `CancellationError` when `shouldContinue` returns false.
    func readExisting(while shouldContinue: () -> Bool) throws {
        let part = try ReadableFile(path)
        guard part.size <= file.size else { return try restart() }
        while size < part.size {
            guard shouldContinue() else { throw CancellationError() }
            let piece = try part.readBytes(at: size, count: min(1 << 20, part.size - size))
            piece.withUnsafeBytes { hash.add($0) }
            size += piece.count
        }
    }

    /// Drops what is there.
    func restart() throws(FormatError) {
        guard ftruncate(descriptor, 0) == 0 else { throw failure() }
        hash = ContentHash(file.digest, size: file.size)
        size = 0
    }

    /// Writes at the end. Throws ``FormatError`` when the disk is full, and ``Mismatch`` when this is more than the file has.
    func append(_ bytes: UnsafeRawBufferPointer) throws {
        guard bytes.count <= file.size - size else {
            throw Mismatch(fault: "is longer than \(file.size) bytes, as the list of files says")
        }
        guard writeAll(bytes, to: descriptor, at: size) else { throw failure() }
        hash.add(bytes)
        size += bytes.count
    }

    /// The content is not what the hub says.
    struct Mismatch: Error {
        let fault: String
    }

    /// Compares the whole content's digest, flushes the file to the disk and names it `path`. Throws ``Mismatch`` or ``FormatError``.
    func finish(as path: FilePath) throws {
        guard size == file.size else {
            throw Mismatch(fault: "has \(size) bytes, not \(file.size) as the list of files says")
        }
        guard hash.digest() == file.digest else {
            throw Mismatch(fault: "is damaged: its \(file.digest.algorithm) is not \(file.digest.name)")
        }
        guard fsync(descriptor) == 0,
            self.path.withCString({ old in path.withCString { rename(old, $0) } }) == 0
        else { throw failure() }
    }

    func delete() { _ = path.withCString { unlink($0) } }

    private func failure() -> FormatError {
        let code = errno
        let isFull = [ENOSPC, EDQUOT, EFBIG].contains(code)
        return FormatError(
            path,
            "cannot be written: \(String(cString: strerror(code)))"
                + (isFull ? "; free some space and run again, which goes on where this ended" : ""))
    }
}
