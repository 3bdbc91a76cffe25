import PhiFormat

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// JSON (RFC 8259): decoding of untrusted files, and the one encoding that all reports have.
package enum JSONText {
    /// The longest file that is decoded where its kind has no limit of its own.
    package static let byteLimit = 4 << 20
    /// The most values and keys that are decoded: Foundation takes 24 bytes for each before it looks at the type.
    static let valueLimit = 1_400_000

    /// Decodes `bytes`, or throws ``FormatError`` naming the place when they are not JSON, nest deeper than Foundation's 512,
    /// hold more than ``valueLimit`` values,
    /// do not match `type`, or hold one key twice in an object, which readers resolve differently. What Python writes against
    /// JSON's rules, ``PythonJSON``, is a fault only where `type` needs it.
    package static func decode<Value: Decodable>(
        _ type: Value.Type, from bytes: [UInt8], of file: String
    ) throws(FormatError) -> Value {
        // Foundation also takes UTF-16 and UTF-32, whose ASCII letters have zero bytes. JSON in UTF-8 never has.
        guard !bytes.contains(0), !bytes.starts(with: [0xEF, 0xBB, 0xBF]) else {
            throw FormatError(file, "is not JSON in UTF-8")
        }
        guard valueCount(in: bytes) <= valueLimit else {
            throw FormatError(file, "holds more than \(valueLimit) values")
        }
        let value: Value
        do {
            value = try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            let replaced = PythonJSON.replaced(in: bytes)
            do {
                guard let replaced else { throw error }
                value = try JSONDecoder().decode(type, from: Data(replaced))
            } catch {
                throw FormatError(file, (error as? DecodingError).map { fault($0, replaced ?? bytes) } ?? "is not JSON")
            }
        }
        if let key = firstDuplicateKey(in: bytes) { throw FormatError(file, "holds the key \(key.shown) twice") }
        return value
    }

    /// Decodes a whole file of at most `limit` bytes. Throws as ``decode(_:from:of:)``, and says so when the file is none of JSON
    /// but a stand-in for one.
    package static func decode<Value: Decodable>(
        _ type: Value.Type, from file: ReadableFile, limit: Int = byteLimit
    ) throws(FormatError) -> Value {
        let bytes = try file.readAll(limit: limit)
        if let content = FileContent(bytes), content.isStandIn { throw content.fault(of: file.path, insteadOf: "JSON") }
        return try decode(type, from: bytes, of: file.path)
    }

    /// A value as JSON with sorted keys, so that equal values are equal bytes: on one line, or indented if `pretty`.
    package static func encode(_ value: some Encodable, pretty: Bool = false) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
        return [UInt8](try encoder.encode(value))
    }

    /// Takes any JSON, and looks at no number.
    package struct Anything: Decodable {
        package init(from decoder: any Decoder) {}
    }

    private static func fault(_ error: DecodingError, _ bytes: [UInt8]) -> String {
        func place(_ path: [any CodingKey], _ last: String? = nil) -> String {
            let keys = path.map { key in key.intValue.map { "[\($0)]" } ?? key.stringValue } + (last.map { [$0] } ?? [])
            return keys.joined(separator: ".").shown
        }
        switch error {
        case .keyNotFound(let key, let context):
            return "has no \(place(context.codingPath, key.stringValue))"
        case .valueNotFound(_, let context):
            return "has null for \(place(context.codingPath))"
        case .typeMismatch(let type, let context):
            return context.codingPath.isEmpty
                ? "is not a JSON object" : "\(place(context.codingPath)) is not \(noun(type))"
        case .dataCorrupted(let context):
            guard context.codingPath.isEmpty else {
                return "\(place(context.codingPath)): \(context.debugDescription.shown)"
            }
            // Foundation says the same of what is no JSON and of a number that is not whole or too large, or bad UTF-8.
            let isJSON = (try? JSONDecoder().decode(Anything.self, from: Data(bytes))) != nil
            return isJSON ? "holds a number or a text that cannot stand where it does" : "is not JSON"
        @unknown default:
            return "is not the JSON that is expected"
        }
    }

    private static func noun(_ type: Any.Type) -> String {
        switch type {
        case is any BinaryInteger.Type: "a whole number"
        case is any BinaryFloatingPoint.Type: "a number"
        case is String.Type: "a string"
        case is Bool.Type: "true or false"
        default: "of the expected kind"
        }
    }

    /// The number of values and keys, of text that may be no JSON.
    private static func valueCount(in bytes: [UInt8]) -> Int {
        var count = 0
        var isInString = false, isInWord = false, isEscaped = false
        for byte in bytes {
            if isInString {
                isInString = isEscaped || byte != UInt8(ascii: "\"")
                isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
                continue
            }
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"), UInt8(ascii: ","),
                UInt8(ascii: ":"), UInt8(ascii: "]"), UInt8(ascii: "}"):
                isInWord = false
            case UInt8(ascii: "\""):
                (isInString, isInWord) = (true, false)
                count += 1
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                isInWord = false
                count += 1
            default:
                if !isInWord { count += 1 }
                isInWord = true
            }
        }
        return count
    }

    /// Scans text that Foundation has accepted. Keys are compared byte by byte after undoing escapes.
    private static func firstDuplicateKey(in bytes: [UInt8]) -> String? {
        var open: [Set<ArraySlice<UInt8>>?] = []  // nil for an array
        var keyIsNext = false
        var index = 0
        while index < bytes.count {
            defer { index += 1 }
            switch bytes[index] {
            case UInt8(ascii: "{"):
                open.append([])
                keyIsNext = true
            case UInt8(ascii: "["):
                open.append(nil)
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                open.removeLast(open.isEmpty ? 0 : 1)
            case UInt8(ascii: ","):
                keyIsNext = open.last.map { $0 != nil } ?? false
            case UInt8(ascii: "\""):
                let quote = index
                index += 1
                while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
                    index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
                }
                guard keyIsNext, index < bytes.count else { continue }
                keyIsNext = false
                var key = bytes[quote + 1..<index]
                if key.contains(UInt8(ascii: "\\")) {
                    let plain = try? JSONDecoder().decode(String.self, from: Data(bytes[quote...index]))
                    if let plain { key = ArraySlice(plain.utf8) }
                }
                if open[open.count - 1]?.insert(key).inserted == false { return String(decoding: key, as: UTF8.self) }
            default:
                break
            }
        }
        return nil
    }
}
