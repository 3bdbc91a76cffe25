import PhiFormat
import PhiJSON
import PhiSystem

/// The reader of standard output has closed it.
package struct BrokenPipe: Error {
    package init() {}
}

/// A result that is printed as text or as JSON.
package protocol Report {
    var text: String { get }
    var json: JSONObject { get }
}

/// Standard input, output and error as bytes.
package enum Console {
    /// Writes to standard output, unbuffered. Throws ``BrokenPipe``, or ``FormatError`` when it cannot be written.
    package static func write(_ text: String) throws { try write(Array(text.utf8)) }

    package static func write(_ bytes: [UInt8]) throws {
        if writeAll(bytes, to: STDOUT_FILENO) { return }
        if errno == EPIPE { throw BrokenPipe() }
        throw FormatError("standard output", String(cString: strerror(errno)))
    }

    /// Writes a line to standard output, without control characters.
    package static func writeLine(_ text: String) throws { try write(text.printable + "\n") }

    /// Writes a report to standard output, its lines without control characters.
    package static func write(_ report: some Report, json: Bool) throws {
        if json { return try writeJSON(report.json) }
        let lines = report.text.split(separator: "\n", omittingEmptySubsequences: false)
        try write(lines.map { String($0).printable }.joined(separator: "\n"))
    }

    /// Writes a value to standard output as JSON with sorted keys, and a line break.
    package static func writeJSON(_ value: some Encodable, pretty: Bool = true) throws {
        try write(JSONText.encode(value, pretty: pretty) + [UInt8(ascii: "\n")])
    }

    /// Writes to standard error and ignores failure.
    package static func error(_ text: String) { error(Array(text.utf8)) }

    /// Writes a line of warning to standard error.
    package static func warn(_ text: String) { error("phi: warning: \(text.printable)\n") }

    package static func error(_ bytes: [UInt8]) { _ = writeAll(bytes, to: STDERR_FILENO) }

    /// Whether standard error is a terminal.
    package static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// All of standard input. Throws ``FormatError`` when it cannot be read or is longer than `limit`.
    package static func readInput(limit: Int = 1 << 30) throws -> [UInt8] {
        try read(STDIN_FILENO, inputName, limit: limit)
    }

    /// All of what can be read from a descriptor.
    private static func read(_ descriptor: Int32, _ name: String, limit: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = piece.withUnsafeMutableBytes { PhiSystem.read(descriptor, $0.baseAddress, $0.count) }
            if count == 0 { return bytes }
            if count < 0 {
                if canGoOn(descriptor, POLLIN) { continue }
                throw FormatError(name, String(cString: strerror(errno)))
            }
            bytes += piece[..<count]
            guard bytes.count <= limit else { throw FormatError(name, "is longer than \(limit) bytes") }
        }
    }

    /// The bytes of the file at `path`, which may be a pipe, or of standard input when it is `-`.
    package static func read(_ path: FilePath, limit: Int = 1 << 30) throws -> [UInt8] {
        if path.isStandardInput { return try readInput(limit: limit) }
        guard case .other = PathKind(path) else { return try ReadableFile(path).readAll(limit: limit) }
        let descriptor = path.withCString { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw FormatError(path, String(cString: strerror(errno))) }
        defer { close(descriptor) }
        return try read(descriptor, path.description, limit: limit)
    }

    /// The name of a source of ``read(_:limit:)`` in errors.
    package static func name(of path: FilePath) -> String {
        path.isStandardInput ? inputName : path.description
    }

    /// The name of standard input in errors.
    package static let inputName = "standard input"
}
