import Foundation

/// The fields of a request's JSON object, taken out one by one with a fault that names the field.
struct RequestFields {
    private let container: KeyedDecodingContainer<FieldName>

    /// A field's name.
    struct FieldName: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    /// Reads a body. Throws ``APIError`` when it is not a JSON object, or has a field that is not one of `known`: one that
    /// was silently passed over would make another text than its sender thinks.
    static func read(_ body: Data, known: Set<String>) throws(APIError) -> RequestFields {
        struct Object: Decodable {
            let fields: RequestFields
            init(from decoder: any Decoder) throws {
                fields = RequestFields(container: try decoder.container(keyedBy: FieldName.self))
            }
        }
        let fields: RequestFields
        do {
            fields = try JSONDecoder().decode(Object.self, from: body).fields
        } catch {
            throw .invalid(nil, "the body is not a JSON object in UTF-8")
        }
        if let unknown = fields.container.allKeys.map(\.stringValue).filter({ !known.contains($0) }).min() {
            throw .invalid(Self.shown(unknown), "this server does not know the field \(Self.shown(unknown))")
        }
        return fields
    }

    private static func shown(_ name: String) -> String {
        String(
            name.unicodeScalars.prefix(64).map { $0.properties.isWhitespace || $0.value < 0x20 ? "?" : Character($0) })
    }

    /// A field's value, or nil when it is not there or null. Throws ``APIError`` when it is not `what`.
    func value<Value: Decodable>(_ name: String, _ what: String, as type: Value.Type = Value.self) throws(APIError)
        -> Value?
    {
        do {
            return try container.decodeIfPresent(type, forKey: FieldName(name))
        } catch {
            throw .invalid(name, "\(name) is not \(what)")
        }
    }

    /// A number, or `standard` when it is not there. Throws ``APIError`` when it is not in `range`.
    func number<Number: Decodable & Comparable>(
        _ name: String, in range: ClosedRange<Number>, standard: Number
    ) throws(APIError) -> Number {
        let what = "a number from \(range.lowerBound) to \(range.upperBound)"
        let number = try value(name, what, as: Number.self) ?? standard
        guard range.contains(number) else { throw .invalid(name, "\(name) is \(number), not \(what)") }
        return number
    }

    /// True or false, or false when it is not there.
    func flag(_ name: String) throws(APIError) -> Bool { try value(name, "true or false") ?? false }
}
