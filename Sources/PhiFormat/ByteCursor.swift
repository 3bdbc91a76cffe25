/// Walks through bytes that may end anywhere and say anything.
package struct ByteCursor {
    private let bytes: [UInt8]
    private let end: FormatError
    /// Where the next byte is.
    package private(set) var position = 0

    /// `end` is thrown when more is taken than is there.
    package init(_ bytes: [UInt8], end: FormatError) {
        self.bytes = bytes
        self.end = end
    }

    package var isAtEnd: Bool { position == bytes.count }

    /// The next `count` bytes.
    package mutating func take(_ count: Int) throws(FormatError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= bytes.count - position else { throw end }
        defer { position += count }
        return bytes[position..<position + count]
    }

    /// The next little-endian integer.
    package mutating func integer<Value: FixedWidthInteger>(_: Value.Type) throws(FormatError) -> Value {
        var value: Value = 0
        for byte in try take(Value.bitWidth / 8).reversed() {
            value = (Value.bitWidth == 8 ? 0 : value << 8) | Value(truncatingIfNeeded: byte)
        }
        return value
    }

    /// The bytes up to the next line feed, which is passed over.
    package mutating func line() throws(FormatError) -> ArraySlice<UInt8> {
        guard let feed = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else { throw end }
        defer { position = feed + 1 }
        return bytes[position..<feed]
    }
}

extension String {
    /// The text that `bytes` are in UTF-8, or nil if they are not.
    package init?(strictUTF8 bytes: ArraySlice<UInt8>) {
        self.init(decoding: bytes, as: UTF8.self)
        guard utf8.elementsEqual(bytes) else { return nil }
    }
}
