import PhiJSON

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The fields of a request's JSON object, decoded one by one by functions whose errors name the field.
struct JSONFields {
    private let container: KeyedDecodingContainer<JSONKey>

    /// Parses a body. Throws ``APIError`` when it is not a JSON object or has a field that is not in `known`: ignoring one
    /// would change the result without the sender's knowledge.
    init(_ body: Data, known: Set<String>) throws(APIError) {
        struct Object: Decodable {
            let container: KeyedDecodingContainer<JSONKey>
            init(from decoder: any Decoder) throws { container = try decoder.container(keyedBy: JSONKey.self) }
        }
        do {
            container = try JSONDecoder().decode(Object.self, from: body).container
        } catch {
            throw .invalid(nil, "the body is not a JSON object in UTF-8")
        }
        if let unknown = container.allKeys.map(\.stringValue).filter({ !known.contains($0) }).min() {
            let shown = unknown.unicodeScalars.prefix(64).map {
                $0.properties.isWhitespace || $0.value < 0x20 ? "?" : Character($0)
            }
            throw .invalid(String(shown), "unknown field \(String(shown))")
        }
    }

    /// The value of a field, or nil when it is absent or null. Throws ``APIError`` when it is not of the type that
    /// `description` names.
    func value<Value: Decodable>(
        _ name: String, _ description: String, as type: Value.Type = Value.self
    ) throws(APIError) -> Value? {
        do {
            return try container.decodeIfPresent(type, forKey: JSONKey(name))
        } catch {
            throw .invalid(name, "\(name) is not \(description)")
        }
    }

    /// A number, or nil when it is absent or null. Throws ``APIError`` when it is outside `range`.
    func number<Number: Decodable & Comparable>(
        _ name: String, in range: ClosedRange<Number>
    ) throws(APIError) -> Number? {
        let description = "a number from \(range.lowerBound) to \(range.upperBound)"
        guard let number = try value(name, description, as: Number.self) else { return nil }
        guard range.contains(number) else { throw .invalid(name, "\(name) is \(number), not \(description)") }
        return number
    }

    /// True or false, or false when it is absent or null.
    func flag(_ name: String) throws(APIError) -> Bool { try value(name, "true or false") ?? false }
}
