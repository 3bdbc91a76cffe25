/// A reader of untrusted bytes, from the first to the last.
package struct ByteCursor {
    private let bytes: [UInt8]
    private let end: FormatError
    /// Offset of the next byte.
    package private(set) var position = 0

    /// `end` is thrown when more bytes are taken than remain.
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
    package mutating func integer<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type
    ) throws(FormatError) -> Value {
        try take(MemoryLayout<Value>.size).withUnsafeBytes { $0.littleEndian(at: 0, as: type) }
    }

    /// The bytes up to the next line feed, which is skipped.
    package mutating func line() throws(FormatError) -> ArraySlice<UInt8> {
        guard let feed = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else { throw end }
        defer { position = feed + 1 }
        return bytes[position..<feed]
    }
}

extension UnsafeRawBufferPointer {
    /// The little-endian integer at `offset`, which must be inside.
    package func littleEndian<Value: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Value.Type) -> Value
    {
        Value(littleEndian: loadUnaligned(fromByteOffset: offset, as: type))
    }
}

extension String {
    /// Decodes UTF-8; nil if `bytes` are not valid UTF-8.
    package init?(strictUTF8 bytes: ArraySlice<UInt8>) {
        self.init(decoding: bytes, as: UTF8.self)
        guard utf8.elementsEqual(bytes) else { return nil }
    }
}
