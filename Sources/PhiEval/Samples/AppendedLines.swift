import PhiFormat
import PhiJSON
import PhiSystem

/// A file of JSON lines that is appended to line by line, by one process at a time, and survives the death of its writer.
final class AppendedLines {
    let path: FilePath
    private let descriptor: Int32
    private let isNew: Bool

    /// Opens or creates the file, gives its lines to `read` and removes an incomplete last one, which is no whole JSON and begins with
    /// `head` as every line does. Throws what `read` throws, and ``FormatError`` when the file cannot be written or ends in something else.
    init(
        _ path: FilePath, head: String, _ read: ([(number: Int, bytes: [UInt8])]) throws(FormatError) -> Void
    ) throws(FormatError) {
        self.path = path
        (descriptor, isNew) = try Self.openLocked(path)
        let bytes = try ReadableFile(path).readAll(limit: 1 << 32)
        let whole = bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        let end = bytes[whole...]
        if !end.isEmpty, Self.isJSON(Array(end)) {
            // Only its line break is missing, as editors leave it.
            try read(TextLines.split(bytes))
            guard lseek(descriptor, 0, SEEK_END) >= 0, writeAll([UInt8(ascii: "\n")], to: descriptor) else {
                throw Self.fault(path)
            }
            return
        }
        try read(TextLines.split(Array(bytes[..<whole])))
        // Any other file belongs to someone and must not be truncated.
        guard end.starts(with: head.utf8) || head.utf8.starts(with: end) else {
            throw FormatError(path, "does not end with a line of its own kind")
        }
        guard ftruncate(descriptor, off_t(whole)) == 0, lseek(descriptor, 0, SEEK_END) >= 0 else {
            throw Self.fault(path)
        }
    }

    // Called for an initialiser that throws, too, once all properties are set.
    deinit {
        // Nothing is left of a run that wrote nothing.
        if isNew, lseek(descriptor, 0, SEEK_END) == 0 { path.withCString { _ = unlink($0) } }
        close(descriptor)
    }

    /// Opens or creates the file for this process alone, since two writers would interleave their lines; where the file system has no
    /// locks, nothing keeps others out.
    private static func openLocked(_ path: FilePath) throws(FormatError) -> (descriptor: Int32, isNew: Bool) {
        while true {
            var descriptor = path.withCString { open($0, O_RDWR | O_CLOEXEC) }
            let isNew = descriptor < 0 && errno == ENOENT
            if isNew { descriptor = path.withCString { open($0, O_RDWR | O_CREAT | O_CLOEXEC, 0o644) } }
            guard descriptor >= 0 else { throw fault(path) }
            if flock(descriptor, LOCK_EX | LOCK_NB) != 0, [EWOULDBLOCK, EINTR].contains(errno) {
                let isOther = errno == EWOULDBLOCK
                close(descriptor)
                if isOther { throw FormatError(path, "is being written already") }
                continue
            }
            // Another writer may have replaced or removed the file before it let the lock go.
            var status = stat()
            if fstat(descriptor, &status) != 0 || status.st_nlink > 0 { return (descriptor, isNew) }
            close(descriptor)
        }
    }

    private static func isJSON(_ bytes: [UInt8]) -> Bool {
        (try? JSONText.decode(JSONText.Anything.self, from: bytes, of: "")) != nil
    }

    /// Appends a line; it is written when this returns.
    func append(_ value: some Encodable) throws {
        let line = try JSONText.encode(value) + [UInt8(ascii: "\n")]
        guard writeAll(line, to: descriptor) else { throw Self.fault(path) }
    }

    private static func fault(_ path: FilePath) -> FormatError {
        FormatError(path, "cannot be written: \(String(cString: strerror(errno)))")
    }
}
