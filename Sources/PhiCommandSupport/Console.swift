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

    /// Writes a report to standard output.
    package static func write(_ report: some Report, json: Bool) throws {
        try json ? writeJSON(report.json) : write(report.text)
    }

    /// Writes a value to standard output as JSON with sorted keys, and a line break.
    package static func writeJSON(_ value: some Encodable, pretty: Bool = true) throws {
        try write(JSONText.encode(value, pretty: pretty) + [UInt8(ascii: "\n")])
    }

    /// Writes to standard error and ignores failure.
    package static func error(_ text: String) {
        _ = writeAll(Array(text.utf8), to: STDERR_FILENO)
    }

    /// Whether standard error is a terminal.
    package static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// All of standard input. Throws ``FormatError`` when it cannot be read or is longer than `limit`.
    package static func readInput(limit: Int = 1 << 30) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = piece.withUnsafeMutableBytes { PhiSystem.read(STDIN_FILENO, $0.baseAddress, $0.count) }
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw FormatError("standard input", String(cString: strerror(errno)))
            }
            bytes += piece[..<count]
            guard bytes.count <= limit else { throw FormatError("standard input", "is longer than \(limit) bytes") }
        }
    }

    /// The bytes of the file at `path`, or of standard input when it is `-`.
    package static func read(_ path: String, limit: Int = 1 << 30) throws -> [UInt8] {
        path == "-" ? try readInput(limit: limit) : try ReadableFile(self.path(ofArgument: path)).readAll(limit: limit)
    }

    /// The name of a source of ``read(_:limit:)`` in errors.
    package static func name(of path: String) -> String { path == "-" ? "standard input" : path }

    /// The path that a command line argument, or the value of an option in one, names: with the bytes that it was given, and with
    /// the home directory for a leading `~` that the shell left. Throws ``FormatError`` when two arguments differ in bytes that
    /// are not UTF-8 alone.
    package static func path(ofArgument text: String) throws(FormatError) -> FilePath {
        var candidates: Set<[UInt8]> = []
        if text.unicodeScalars.contains("\u{FFFD}") {
            for argument in arguments {
                // A long option has its value after =, a short one after its letter.
                for start in [0, 2] + (argument.firstIndex(of: UInt8(ascii: "=")).map { [$0 + 1] } ?? []) {
                    let value = Array(argument.dropFirst(start))
                    if String(decoding: value, as: UTF8.self) == text { candidates.insert(value) }
                }
            }
        }
        guard candidates.count < 2 else {
            throw FormatError(text, "stands for several arguments that are not UTF-8; rename one of the files")
        }
        let path = candidates.first.map { FilePath(bytes: $0) } ?? FilePath(text)
        guard path.bytes.first == UInt8(ascii: "~"), [nil, UInt8(ascii: "/")].contains(path.bytes.dropFirst().first),
            let home = getenv("HOME"), case .missing = PathKind(path)
        else { return path }
        return FilePath(
            bytes: Array(UnsafeBufferPointer(start: home, count: strlen(home)).map { UInt8(bitPattern: $0) })
                + path.bytes.dropFirst())
    }

    /// The bytes of the command line's arguments.
    private static var arguments: [[UInt8]] {
        UnsafeBufferPointer(start: CommandLine.unsafeArgv, count: Int(CommandLine.argc)).compactMap { argument in
            argument.map { UnsafeBufferPointer(start: $0, count: strlen($0)).map { UInt8(bitPattern: $0) } }
        }
    }

    /// The bytes of a command line argument, whose string has U+FFFD where they are not UTF-8.
    package static func bytes(ofArgument text: String) -> [UInt8] {
        arguments.first { String(decoding: $0, as: UTF8.self).utf8.elementsEqual(text.utf8) } ?? Array(text.utf8)
    }
}
