import PhiFormat

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The reader of standard output has gone away.
struct BrokenPipe: Error {}

/// Standard input, output and error as bytes.
enum Console {
    /// Writes to standard output at once. Throws ``BrokenPipe``, or ``FormatError`` when it cannot be written.
    static func write(_ text: String) throws { try write(Array(text.utf8)) }

    static func write(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Self.write(STDOUT_FILENO, $0) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno == EPIPE {
                throw BrokenPipe()
            } else if errno != EINTR {
                throw FormatError("standard output", String(cString: strerror(errno)))
            }
        }
    }

    /// Writes to standard error; what cannot be written there is lost.
    static func error(_ text: String) {
        _ = Array(text.utf8).withUnsafeBytes { Self.write(STDERR_FILENO, $0) }
    }

    /// Whether somebody is looking at standard error.
    static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// All of standard input. Throws ``FormatError`` when it cannot be read or is longer than `limit`.
    static func readInput(limit: Int = 1 << 30) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = piece.withUnsafeMutableBytes { read(STDIN_FILENO, $0.baseAddress, $0.count) }
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
    static func read(_ path: String, limit: Int = 1 << 30) throws -> [UInt8] {
        path == "-" ? try readInput(limit: limit) : try ReadableFile(path: path).readAll(limit: limit)
    }

    /// What errors call what ``read(_:limit:)`` reads.
    static func name(of path: String) -> String { path == "-" ? "standard input" : path }

    /// The bytes of an argument of the command. Swift's strings have U+FFFD where they are not UTF-8.
    static func bytes(ofArgument text: String) -> [UInt8] {
        for argument in UnsafeBufferPointer(start: CommandLine.unsafeArgv, count: Int(CommandLine.argc)) {
            guard let argument, String(cString: argument).utf8.elementsEqual(text.utf8) else { continue }
            return UnsafeBufferPointer(start: argument, count: strlen(argument)).map { UInt8(bitPattern: $0) }
        }
        return Array(text.utf8)
    }

    private static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
        #if canImport(Glibc)
            Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        #elseif canImport(Musl)
            Musl.write(descriptor, bytes.baseAddress, bytes.count)
        #else
            Darwin.write(descriptor, bytes.baseAddress, bytes.count)
        #endif
    }

    private static func read(_ descriptor: Int32, _ base: UnsafeMutableRawPointer?, _ count: Int) -> Int {
        #if canImport(Glibc)
            Glibc.read(descriptor, base, count)
        #elseif canImport(Musl)
            Musl.read(descriptor, base, count)
        #else
            Darwin.read(descriptor, base, count)
        #endif
    }
}
