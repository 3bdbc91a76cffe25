import CPhiKernels
import PhiFormat

/// A reader of a two-dimensional little-endian float32 or float16 array from a `.npy` file (NumPy's `numpy/lib/format.py`), row
/// by row, in the memory of one row.
package struct NumPyReader {
    private var path: String { file.path }
    package let rows: Int
    package let columns: Int
    private let file: ReadableFile
    private let isHalf: Bool
    private let start: Int
    private var row = 0

    /// Opens the file. Throws ``FormatError`` when it is not such an array or its size does not match its shape.
    package init(_ path: FilePath) throws(FormatError) {
        file = try ReadableFile(path)
        let head = try file.readBytes(at: 0, count: min(12, file.size))
        guard head.count == 12, head.starts(with: [0x93] + Array("NUMPY".utf8)), (1...3).contains(head[6]) else {
            throw FormatError(path, "is not a .npy file")
        }
        let isShort = head[6] == 1
        let length = (0..<(isShort ? 2 : 4)).reduce(0) { $0 | Int(head[8 + $1]) << (8 * $1) }
        start = (isShort ? 10 : 12) + length
        guard length <= 65_535, start <= file.size else { throw FormatError(path, "has a header beyond its end") }
        let text = String(decoding: try file.readBytes(at: start - length, count: length), as: UTF8.self)
        switch Self.value(of: "descr", in: text, until: ",") {
        case "'<f4'": isHalf = false
        case "'<f2'": isHalf = true
        default: throw FormatError(path, "is not an array of float32 or float16")
        }
        guard Self.value(of: "fortran_order", in: text, until: ",") == "False" else {
            throw FormatError(path, "is not in C order")
        }
        let shape = Self.value(of: "shape", in: text, until: ")")?.dropFirst().split(separator: ",").map { part in
            Int(String(part.filter { $0 != " " }))
        }
        guard let shape, shape.count == 2, let rows = shape[0], let columns = shape[1], rows >= 0, columns >= 0 else {
            throw FormatError(path, "is not an array of two dimensions")
        }
        self.rows = rows
        self.columns = columns
        let (elements, isTooMany) = rows.multipliedReportingOverflow(by: columns)
        let (bytes, isTooLong) = elements.multipliedReportingOverflow(by: isHalf ? 2 : 4)
        guard !isTooMany, !isTooLong, bytes == file.size - start else {
            throw FormatError(path, "is not as long as its shape of \(rows) x \(columns) says")
        }
    }

    /// Fills `out`, at most as long as a row, with the first elements of the next row. Throws ``FormatError`` when there is no
    /// further row.
    package mutating func next(_ out: UnsafeMutableBufferPointer<Float>) throws(FormatError) {
        guard row < rows else { throw FormatError(path, "has only \(rows) rows") }
        guard out.count <= columns else { throw FormatError(path, "has only \(columns) columns, not \(out.count)") }
        let size = isHalf ? 2 : 4
        let bytes = try file.readBytes(at: start + row * columns * size, count: out.count * size)
        row += 1
        bytes.withUnsafeBytes { bytes in
            for place in out.indices {
                out[place] =
                    isHalf
                    ? phi_half_to_float(
                        UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 2 * place, as: UInt16.self)))
                    : Float(
                        bitPattern: UInt32(
                            littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * place, as: UInt32.self)))
            }
        }
    }

    /// The text after `'key':` in the header, without leading blanks.
    private static func value(of key: String, in text: String, until end: Character) -> Substring? {
        let mark = "'\(key)':"
        guard let place = text.firstRange(of: mark) else { return nil }
        return text[place.upperBound...].drop { $0 == " " }.prefix { $0 != end }
    }
}
