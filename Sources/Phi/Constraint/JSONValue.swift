/// A JSON value (RFC 8259) from outside.
package enum JSONValue: Sendable, Equatable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSONValue])
    case object(JSONMembers)

    /// Arrays and objects in each other that are accepted.
    package static let depthLimit = 64

    /// Parses `bytes`, which must be one value in UTF-8 without a byte order mark. Keys that occur twice in an object are
    /// refused, since readers differ in the one they take.
    package init(_ bytes: [UInt8]) throws(JSONFault) {
        var parser = JSONParser(bytes)
        self = try parser.whole()
    }
}

/// A number as it is written; numbers of equal value are equal.
package struct JSONNumber: Sendable, Equatable {
    package let text: String

    package init(text: String) { self.text = text }

    package var double: Double { Double(text) ?? .nan }

    /// The value, if it is a whole number that the type can represent.
    package func whole<Integer: FixedWidthInteger>(_ type: Integer.Type = Integer.self) -> Integer? {
        Integer(text) ?? Integer(exactly: double)
    }

    /// Whether the value is a whole number, of any size.
    var isWhole: Bool { double.isFinite && double == double.rounded() }

    package static func == (first: JSONNumber, second: JSONNumber) -> Bool { first.double == second.double }
}

/// The members of a JSON object, in their order, which does not count when two are compared.
package struct JSONMembers: Sendable, Equatable, Sequence, ExpressibleByDictionaryLiteral {
    package private(set) var keys: [String] = []
    private var values: [ExactText: JSONValue] = [:]

    package init(dictionaryLiteral members: (String, JSONValue)...) {
        for (key, value) in members { append(key, value) }
    }

    package subscript(key: String) -> JSONValue? { values[ExactText(key)] }

    /// Appends a member; returns whether its key is new.
    @discardableResult
    mutating func append(_ key: String, _ value: JSONValue) -> Bool {
        guard values.updateValue(value, forKey: ExactText(key)) == nil else { return false }
        keys.append(key)
        return true
    }

    package func makeIterator() -> some IteratorProtocol<(key: String, value: JSONValue)> {
        keys.lazy.map { (key: $0, value: self[$0] ?? .null) }.makeIterator()
    }

    package static func == (first: JSONMembers, second: JSONMembers) -> Bool { first.values == second.values }
}

/// What keeps bytes from being JSON.
package struct JSONFault: Error, Equatable {
    package let message: String

    package init(message: String) { self.message = message }
}

/// A recursive-descent parser of one value.
private struct JSONParser {
    private let bytes: [UInt8]
    private var place = 0
    private var depth = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func whole() throws(JSONFault) -> JSONValue {
        let value = try value()
        guard next() == nil else { throw fault("has more after its value") }
        return value
    }

    /// The next byte that is not white space; nil at the end.
    private mutating func next() -> UInt8? {
        while place < bytes.count {
            switch bytes[place] {
            case 0x20, 0x09, 0x0A, 0x0D: place += 1
            case let byte: return byte
            }
        }
        return nil
    }

    /// Skips the next byte that is not white space, if it is this one.
    private mutating func skip(_ byte: Unicode.Scalar) -> Bool {
        guard next() == UInt8(ascii: byte) else { return false }
        place += 1
        return true
    }

    private func fault(_ what: String) -> JSONFault {
        JSONFault(message: place < bytes.count ? "\(what) at byte \(place)" : "\(what) at its end")
    }

    private mutating func value() throws(JSONFault) -> JSONValue {
        switch next() {
        case UInt8(ascii: "{"): return try nested { parser throws(JSONFault) in .object(try parser.members()) }
        case UInt8(ascii: "["): return try nested { parser throws(JSONFault) in .array(try parser.elements()) }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return .number(try number())
        }
    }

    private mutating func nested(
        _ body: (inout JSONParser) throws(JSONFault) -> JSONValue
    ) throws(JSONFault) -> JSONValue {
        guard depth < JSONValue.depthLimit else { throw fault("nests deeper than \(JSONValue.depthLimit)") }
        depth += 1
        place += 1
        let value = try body(&self)
        depth -= 1
        return value
    }

    private mutating func members() throws(JSONFault) -> JSONMembers {
        var members: JSONMembers = [:]
        if skip("}") { return members }
        repeat {
            guard next() == UInt8(ascii: "\"") else { throw fault("has no key") }
            let key = try string()
            guard skip(":") else { throw fault("has no colon") }
            guard members.append(key, try value()) else { throw fault("holds a key twice") }
        } while skip(",")
        guard skip("}") else { throw fault("has no comma or brace") }
        return members
    }

    private mutating func elements() throws(JSONFault) -> [JSONValue] {
        var elements: [JSONValue] = []
        if skip("]") { return elements }
        repeat { elements.append(try value()) } while skip(",")
        guard skip("]") else { throw fault("has no comma or bracket") }
        return elements
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONFault) -> JSONValue {
        let count = word.utf8CodeUnitCount
        let isEqual = word.withUTF8Buffer { bytes[place...].prefix(count).elementsEqual($0) }
        guard isEqual else { throw fault("has no value") }
        place += count
        return value
    }

    private mutating func number() throws(JSONFault) -> JSONNumber {
        let start = place
        func digit(_ place: Int) -> Bool { place < bytes.count && (0x30...0x39).contains(bytes[place]) }
        func isOneOf(_ place: Int, _ set: StaticString) -> Bool {
            place < bytes.count && set.withUTF8Buffer { $0.contains(bytes[place]) }
        }
        func endOfDigits(_ start: Int) -> Int? {
            var end = start
            while digit(end) { end += 1 }
            return end > start ? end : nil
        }
        var end = isOneOf(start, "-") ? start + 1 : start
        guard let whole = endOfDigits(end), whole == end + 1 || !isOneOf(end, "0") else { throw fault("has no value") }
        end = whole
        if isOneOf(end, ".") {
            guard let fraction = endOfDigits(end + 1) else { throw fault("has no value") }
            end = fraction
        }
        if isOneOf(end, "eE") {
            guard let exponent = endOfDigits(isOneOf(end + 1, "+-") ? end + 2 : end + 1) else {
                throw fault("has no value")
            }
            end = exponent
        }
        place = end
        return JSONNumber(text: String(decoding: bytes[start..<end], as: UTF8.self))
    }

    private mutating func string() throws(JSONFault) -> String {
        place += 1
        var text: [UInt8] = []
        var start = place
        while place < bytes.count {
            switch bytes[place] {
            case UInt8(ascii: "\""):
                text += bytes[start..<place]
                guard let string = String(validating: text, as: UTF8.self) else {
                    throw fault("has a string that is not UTF-8")
                }
                place += 1
                return string
            case UInt8(ascii: "\\"):
                text += bytes[start..<place]
                text.append(contentsOf: String(try escape()).utf8)
                start = place
            case 0..<0x20:
                throw fault("has a control character in a string")
            default:
                place += 1
            }
        }
        throw fault("has a string without an end")
    }

    private static let escapes: [UInt8: Unicode.Scalar] = [
        0x22: "\"", 0x5C: "\\", 0x2F: "/", 0x62: "\u{8}", 0x66: "\u{C}", 0x6E: "\n", 0x72: "\r", 0x74: "\t",
    ]

    private mutating func escape() throws(JSONFault) -> Unicode.Scalar {
        guard place + 1 < bytes.count else { throw fault("has a string without an end") }
        if let scalar = Self.escapes[bytes[place + 1]] {
            place += 2
            return scalar
        }
        guard let unit = codeUnit(place) else { throw fault("has an unknown escape") }
        if let scalar = Unicode.Scalar(unit) {
            place += 6
            return scalar
        }
        guard unit < 0xDC00, let low = codeUnit(place + 6), (0xDC00...0xDFFF).contains(low),
            let scalar = Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (low - 0xDC00))
        else { throw fault("has half a surrogate pair") }
        place += 12
        return scalar
    }

    /// The code unit of an escape such as `\u00e9` at `place`.
    private func codeUnit(_ place: Int) -> UInt32? {
        guard place + 6 <= bytes.count, bytes[place] == UInt8(ascii: "\\"), bytes[place + 1] == UInt8(ascii: "u") else {
            return nil
        }
        let digits = String(decoding: bytes[place + 2..<place + 6], as: UTF8.self)
        return digits.allSatisfy(\.isHexDigit) ? UInt32(digits, radix: 16) : nil
    }
}
