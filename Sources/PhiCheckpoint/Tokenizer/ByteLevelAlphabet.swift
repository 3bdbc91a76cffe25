/// GPT-2's printable characters for bytes: `bytes_to_unicode` in transformers' GPT-2 tokenizer and in
/// https://github.com/openai/gpt-2/blob/master/src/encoder.py.
///
/// Printable Latin-1 characters are their own bytes; the 68 other bytes are U+0100 onwards, in order.
package enum ByteLevelAlphabet {
    private static let byteOfScalar: [UInt32: UInt8] = {
        var bytes: [UInt32: UInt8] = [:]
        var next: UInt32 = 256
        for byte in UInt8.min...UInt8.max {
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: bytes[UInt32(byte)] = byte
            default:
                bytes[next] = byte
                next += 1
            }
        }
        return bytes
    }()

    private static let scalarOfByte: [UInt8: Unicode.Scalar] = byteOfScalar.reduce(into: [:]) { scalars, pair in
        scalars[pair.value] = Unicode.Scalar(pair.key)
    }

    /// The text that stands for `bytes`.
    package static func text(of bytes: some Sequence<UInt8>) -> String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: bytes.compactMap { scalarOfByte[$0] })
        return String(text)
    }

    /// The bytes of `text`, or nil if it has a character outside the alphabet.
    static func bytes(of text: String) -> [UInt8]? {
        var result: [UInt8] = []
        for scalar in text.unicodeScalars {
            guard let byte = byteOfScalar[scalar.value] else { return nil }
            result.append(byte)
        }
        return result
    }
}
