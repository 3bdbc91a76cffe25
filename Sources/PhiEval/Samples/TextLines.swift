import CZlib
import PhiFormat

/// Reader of the lines of a text file, plain or gzip, or of the elements of a JSON array that a file holds in place of lines.
package enum TextLines {
    /// The lines that are not blank, numbered from 1, without a byte order mark; of an array, its elements with the lines that they
    /// begin on. Throws ``FormatError`` when the file cannot be read, is damaged, or
    /// unpacks to more than `limit` bytes.
    package static func read(_ path: FilePath, limit: Int = 1 << 30) throws(FormatError) -> [(
        number: Int, bytes: [UInt8]
    )] {
        // For the error message when there is no such file.
        _ = try ReadableFile(path)
        guard let file = path.withCString({ gzopen($0, "rb") }) else { throw FormatError(path, "cannot be read") }
        defer { gzclose(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = gzread(file, &piece, UInt32(piece.count))
            guard count >= 0 else { throw FormatError(path, "is a damaged gzip file") }
            if count == 0 { break }
            bytes += piece[..<Int(count)]
            guard bytes.count <= limit else { throw FormatError(path, "holds more than \(limit) bytes") }
        }
        // A truncated file reads like one that ends; only gzerror tells.
        var code: Int32 = 0
        gzerror(file, &code)
        guard code == Z_OK || code == Z_STREAM_END else { throw FormatError(path, "is a damaged gzip file") }
        let text = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes[3...]) : bytes
        return elements(text) ?? split(text)
    }

    /// The elements of a JSON array; nil if the text as a whole is none. What they hold is not checked.
    static func elements(_ bytes: [UInt8]) -> [(number: Int, bytes: [UInt8])]? {
        var elements: [(number: Int, bytes: [UInt8])] = []
        var depth = 0
        var line = 1
        var isOpened = false, isInString = false, isEscaped = false
        // The element that is being read.
        var start: (line: Int, index: Int)?
        func close(at index: Int) {
            if let begin = start { elements.append((begin.line, Array(bytes[begin.index..<index]))) }
            start = nil
        }
        for (index, byte) in bytes.enumerated() {
            if byte == UInt8(ascii: "\n") { line += 1 }
            if isInString {
                isInString = isEscaped || byte != UInt8(ascii: "\"")
                isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
                continue
            }
            if byte <= 32 { continue }
            if depth == 0 {
                // Another value, or text behind the array.
                guard !isOpened, byte == UInt8(ascii: "[") else { return nil }
                (isOpened, depth) = (true, 1)
                continue
            }
            switch byte {
            case UInt8(ascii: ",") where depth == 1:
                close(at: index)
                continue
            case UInt8(ascii: "]") where depth == 1:
                close(at: index)
            default:
                if depth == 1, start == nil { start = (line, index) }
            }
            switch byte {
            case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            case UInt8(ascii: "\""): isInString = true
            default: break
            }
        }
        return isOpened && depth == 0 ? elements : nil
    }

    /// The lines of `bytes` that are not blank, numbered from 1.
    static func split(_ bytes: [UInt8]) -> [(number: Int, bytes: [UInt8])] {
        bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
            .filter { !$1.allSatisfy { $0 <= 32 } }.map { ($0 + 1, Array($1)) }
    }
}
