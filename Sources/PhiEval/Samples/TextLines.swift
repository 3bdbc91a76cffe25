import CZlib
import PhiFormat

/// Reader of the lines of a text file, plain or gzip.
package enum TextLines {
    /// The lines that are not blank, numbered from 1. Throws ``FormatError`` when the file cannot be read, is damaged, or
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
        return split(bytes)
    }

    /// The lines of `bytes` that are not blank, numbered from 1.
    static func split(_ bytes: [UInt8]) -> [(number: Int, bytes: [UInt8])] {
        bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).enumerated()
            .filter { !$1.allSatisfy { $0 <= 32 } }.map { ($0 + 1, Array($1)) }
    }
}
