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
        isNew = if case .missing = PathKind(path) { true } else { false }
        // Two writers would interleave their lines.
        descriptor = try path.openLocked(mode: 0o644) { () throws(FormatError) in
            throw FormatError(path, "is being written already")
        }
        guard descriptor >= 0 else { throw Self.fault(path) }
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
        guard descriptor >= 0 else { return }
        // Nothing is left of a run that wrote nothing.
        if isNew, lseek(descriptor, 0, SEEK_END) == 0 { path.withCString { _ = unlink($0) } }
        closeLocked(descriptor)
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
