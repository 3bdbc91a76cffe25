/// A well-formed UTF-8 sequence, or a single byte that begins none.
///
/// Well-formed sequences are those of table 3-7 of the Unicode Standard: no overlong forms, no surrogates, nothing
/// above U+10FFFF.
struct UTF8Sequence {
    /// The code point; U+FFFD for a byte that begins no well-formed sequence.
    let scalar: UInt32
    /// The number of bytes, 1 to 4.
    let length: Int

    /// Decodes the sequence at `position`, which must not extend past `end`. Constant time.
    @inline(__always)
    init(_ text: ByteView, at position: Int, end: Int) {
        let lead = text[position]
        if lead < 0x80 {
            self.init(scalar: UInt32(lead), length: 1)
            return
        }
        let length = Self.length(lead: lead)
        guard length > 1, end - position >= length, Self.accepts(second: text[position + 1], after: lead) else {
            self.init(scalar: 0xFFFD, length: 1)
            return
        }
        var scalar = UInt32(lead) & (0x7F >> UInt32(truncatingIfNeeded: length))
        for index in 1..<length {
            let byte = text[position + index]
            guard byte & 0xC0 == 0x80 else {
                self.init(scalar: 0xFFFD, length: 1)
                return
            }
            scalar = scalar << 6 | UInt32(byte & 0x3F)
        }
        self.init(scalar: scalar, length: length)
    }

    private init(scalar: UInt32, length: Int) {
        self.scalar = scalar
        self.length = length
    }

    /// Returns the length of a sequence that begins with `lead`, or 0 for an invalid lead byte.
    private static func length(lead: UInt8) -> Int {
        switch lead {
        case 0x00...0x7F: 1
        case 0xC2...0xDF: 2
        case 0xE0...0xEF: 3
        case 0xF0...0xF4: 4
        default: 0
        }
    }

    /// Returns whether `second` may follow `lead`, the lead byte of a sequence of two bytes or more.
    private static func accepts(second: UInt8, after lead: UInt8) -> Bool {
        switch lead {
        case 0xE0: 0xA0...0xBF ~= second
        case 0xED: 0x80...0x9F ~= second
        case 0xF0: 0x90...0xBF ~= second
        case 0xF4: 0x80...0x8F ~= second
        default: 0x80...0xBF ~= second
        }
    }

    /// Returns the length of the incomplete UTF-8 sequence at the end of `bytes`, 0 to 3.
    static func incompleteSuffixLength(_ bytes: [UInt8]) -> Int {
        for back in 1...3 where back <= bytes.count {
            let lead = bytes[bytes.count - back]
            if lead & 0xC0 == 0x80 { continue }
            if length(lead: lead) <= back { return 0 }
            if back > 1, !accepts(second: bytes[bytes.count - back + 1], after: lead) { return 0 }
            return back
        }
        return 0
    }
}
