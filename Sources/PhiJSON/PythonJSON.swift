/// JSON as Python's `json` module writes it against RFC 8259: the numbers NaN, Infinity and -Infinity, and strings that hold one
/// half of a surrogate pair without the other.
///
///     {"loss": NaN, "text": "a\ud835"}  becomes  {"loss": [null], "text": [null, "a\u0000"]}
///
/// An array that begins with null is of no type that a file is decoded to, so such a value is a fault of its key where the key
/// matters, and passed over where it does not.
enum PythonJSON {
    /// `bytes` with these values replaced; nil if there are none. Keys are left as they are.
    static func replaced(in bytes: [UInt8]) -> [UInt8]? {
        var output: [UInt8] = []
        var copied = 0
        var index = 0
        func replace(_ range: Range<Int>, _ replacement: [UInt8]) {
            output += bytes[copied..<range.lowerBound]
            output += replacement
            copied = range.upperBound
        }
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\""):
                let string = index..<endOfString(from: index, in: bytes)
                index = string.upperBound
                if let whole = withoutHalves(bytes[string]), !isKey(endingAt: index, in: bytes) {
                    replace(string, Array("[null,".utf8) + whole + Array("]".utf8))
                }
            case UInt8(ascii: "N"), UInt8(ascii: "I"), UInt8(ascii: "-"):
                let word = bytes[index...].prefix { $0 == UInt8(ascii: "-") || isLetter($0) }
                if words.contains(where: word.elementsEqual) { replace(word.indices, Array("[null]".utf8)) }
                index = max(word.endIndex, index + 1)
            default:
                index += 1
            }
        }
        return copied == 0 ? nil : output + bytes[copied...]
    }

    private static let words = ["NaN", "Infinity", "-Infinity"].map { Array($0.utf8) }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte & 0xDF) }

    /// The index after the closing quote of the string that opens at `start`, or the end of the text.
    private static func endOfString(from start: Int, in bytes: [UInt8]) -> Int {
        var index = start + 1
        while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
            index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        return min(index + 1, bytes.count)
    }

    private static func isKey(endingAt end: Int, in bytes: [UInt8]) -> Bool {
        bytes[end...].first { ![0x20, 0x09, 0x0A, 0x0D].contains($0) } == UInt8(ascii: ":")
    }

    /// The string with \u0000 for each half of a pair that stands alone; nil if none does.
    private static func withoutHalves(_ string: ArraySlice<UInt8>) -> [UInt8]? {
        var output = Array(string)
        var isChanged = false
        var index = string.startIndex
        while let escape = string[index...].firstIndex(of: UInt8(ascii: "\\")) {
            guard let half = surrogate(at: escape, in: string) else {
                index = min(escape + 2, string.endIndex)
                continue
            }
            index = escape + 6
            if half < 0xDC00, let other = surrogate(at: index, in: string), other >= 0xDC00 {
                index += 6
            } else {
                let place = escape - string.startIndex
                output.replaceSubrange(place..<place + 6, with: #"\u0000"#.utf8)  // of the same length
                isChanged = true
            }
        }
        return isChanged ? output : nil
    }

    /// The value of the escape at `index` if it is one of half a pair.
    private static func surrogate(at index: Int, in string: ArraySlice<UInt8>) -> UInt16? {
        guard index + 6 <= string.endIndex, string[index] == UInt8(ascii: "\\"), string[index + 1] == UInt8(ascii: "u"),
            string[index + 2] != UInt8(ascii: "+"),
            let value = UInt16(String(decoding: string[index + 2..<index + 6], as: UTF8.self), radix: 16),
            (0xD800...0xDFFF).contains(value)
        else { return nil }
        return value
    }
}

extension JSONText {
    /// A string as Python may hold it. U+0000 stands for half of a surrogate pair without the other, which is no text.
    package struct PythonString: Decodable, Sendable {
        package let text: String

        package init(from decoder: any Decoder) throws {
            do {
                text = try String(from: decoder)
            } catch {
                guard var items = try? decoder.unkeyedContainer(), (try? items.decodeNil()) == true,
                    let text = try? items.decode(String.self)
                else { throw error }
                self.text = text
            }
        }
    }
}
