/// GPT-2's printable stand-ins for bytes: `bytes_to_unicode` in transformers' GPT-2 tokenizer and in
/// https://github.com/openai/gpt-2/blob/master/src/encoder.py.
///
/// The bytes of printable Latin-1 characters stand for themselves, the 68 others for U+0100 onwards in their order.
enum ByteLevelAlphabet {
    private static let bytes: [UInt32: UInt8] = {
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

    /// The bytes that `text` stands for, or nil if it has a character that stands for none.
    static func undo(_ text: String) -> [UInt8]? {
        var result: [UInt8] = []
        for scalar in text.unicodeScalars {
            guard let byte = bytes[scalar.value] else { return nil }
            result.append(byte)
        }
        return result
    }
}
