import PhiFormat

/// A reader of a GGUF file's header, from an offset on, a piece at a time: no length that the file claims is allocated.
struct GGUFCursor {
    let file: ReadableFile
    /// Offset in the file of the next byte.
    private(set) var position: Int
    private var piece: [UInt8] = []
    private var pieceStart = 0

    private static let pieceBytes = 1 << 16

    init(_ file: ReadableFile, at position: Int = 0) {
        self.file = file
        self.position = position
    }

    /// Bytes from here to the end of the file.
    var remaining: Int { file.size - position }

    private func endsEarly() -> FormatError {
        FormatError(
            file.path,
            "has a header that goes beyond its \(file.size) bytes; it is cut short or damaged, download it again")
    }

    /// Skips `count` bytes. Throws ``FormatError`` when they are not all in the file.
    mutating func skip(_ count: Int) throws(FormatError) {
        guard count >= 0, count <= remaining else { throw endsEarly() }
        position += count
    }

    /// The next `count` bytes; throws as ``skip(_:)``.
    mutating func take(_ count: Int) throws(FormatError) -> ArraySlice<UInt8> {
        let start = position
        try skip(count)
        if start < pieceStart || position > pieceStart + piece.count {
            piece = try file.readBytes(at: start, count: min(file.size - start, max(count, Self.pieceBytes)))
            pieceStart = start
        }
        return piece[start - pieceStart..<position - pieceStart]
    }

    /// The next little-endian integer.
    mutating func integer<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type
    ) throws(FormatError) -> Value {
        try take(MemoryLayout<Value>.size).withUnsafeBytes { $0.littleEndian(at: 0, as: type) }
    }

    /// The next length or count, of things of at least `size` bytes each, which must have room in the file.
    mutating func count(of size: Int = 1) throws(FormatError) -> Int {
        guard let count = Int(exactly: try integer(UInt64.self)), count <= remaining / size else { throw endsEarly() }
        return count
    }

    /// The next string's place in the file.
    mutating func skipString() throws(FormatError) -> Range<Int> {
        let count = try count()
        try skip(count)
        return position - count..<position
    }

    /// The next string, of at most `limit` bytes; `what` it is, for faults.
    mutating func string(limit: Int, _ what: @autoclosure () -> String) throws(FormatError) -> String {
        let count = try count()
        guard count <= limit else {
            throw FormatError(file.path, "\(what()) is \(count) bytes long, not \(limit) at most")
        }
        guard let text = String(strictUTF8: try take(count)) else {
            throw FormatError(file.path, "\(what()) is not UTF-8")
        }
        return text
    }
}
