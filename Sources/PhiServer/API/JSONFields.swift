import Phi
import PhiFormat

/// The fields of a request's JSON object, read one by one by functions whose errors name the field.
struct JSONFields {
    private let values: JSONMembers
    /// What the response says about fields that nothing here knows.
    private(set) var warnings: [String] = []

    /// Fields that a body may have.
    private static let limit = 1000

    /// Parses a body whose fields are in `known` or ``ForeignField/all``. Throws ``APIError`` when it is not a JSON object, when a
    /// foreign field asks for other text than this server makes, or, if `isStrict`, when a field is unknown.
    init(_ body: [UInt8], known: Set<String>, isStrict: Bool = false) throws(APIError) {
        do throws(JSONFault) {
            guard case .object(let object) = try JSONValue(body) else { throw JSONFault(message: "is not an object") }
            guard object.keys.count <= Self.limit else {
                throw JSONFault(message: "has more than \(Self.limit) fields")
            }
            values = object
        } catch {
            throw .invalid(nil, "the body is not a JSON object in UTF-8: it \(error.message)")
        }
        for (name, value) in values.sorted(by: { $0.key < $1.key }) where !known.contains(name) && value != .null {
            if let field = ForeignField.all[name] {
                try field.check(value, name)
                continue
            }
            let shown = String(
                name.unicodeScalars.prefix(64).map {
                    $0.properties.isWhitespace ? "?" : Character($0)
                }
            ).printable
            if isStrict { throw .invalid(shown, "unknown field \(shown)") }
            warnings.append("unknown field \(shown) is not used")
        }
    }

    /// The value of a field, or nil when it is absent or null. Throws ``APIError`` when it is not of the type that
    /// `description` names.
    func value<Value: JSONReadable>(
        _ name: String, _ description: String, as type: Value.Type = Value.self
    ) throws(APIError) -> Value? {
        guard let json = values[name], json != .null else { return nil }
        guard let value = Value(json) else { throw .invalid(name, "\(name) is not \(description)") }
        return value
    }

    /// The value of the one field of several synonyms that is given, and the name that it has. Throws ``APIError`` also when two
    /// differ.
    func value<Value: JSONReadable & Equatable>(
        _ names: [String], _ description: String, as type: Value.Type = Value.self
    ) throws(APIError) -> (name: String, value: Value)? {
        var found: (name: String, value: Value)?
        for name in names {
            guard let next = try value(name, description, as: type) else { continue }
            if let found, found.value != next { throw .invalid(name, "\(found.name) and \(name) differ") }
            found = found ?? (name, next)
        }
        return found
    }

    /// A number, or nil when it is absent or null. Throws ``APIError`` when it is outside `range`.
    func number<Number: JSONReadable & Comparable>(
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

/// A type of fields' values.
protocol JSONReadable {
    /// Makes a value, or nil if `json` is of another type or out of range.
    init?(_ json: JSONValue)
}

extension String: JSONReadable {
    init?(_ json: JSONValue) {
        guard case .string(let text) = json else { return nil }
        self = text
    }
}

extension Bool: JSONReadable {
    init?(_ json: JSONValue) {
        guard case .bool(let flag) = json else { return nil }
        self = flag
    }
}

extension Double: JSONReadable {
    init?(_ json: JSONValue) {
        guard case .number(let number) = json, number.double.isFinite else { return nil }
        self = number.double
    }
}

extension Int: JSONReadable {
    init?(_ json: JSONValue) {
        guard case .number(let number) = json, let whole = number.whole(Int.self) else { return nil }
        self = whole
    }
}

extension Int32: JSONReadable {
    init?(_ json: JSONValue) {
        guard case .number(let number) = json, let whole = number.whole(Int32.self) else { return nil }
        self = whole
    }
}

extension Array: JSONReadable where Element: JSONReadable {
    init?(_ json: JSONValue) {
        guard case .array(let values) = json else { return nil }
        self = []
        reserveCapacity(values.count)
        for value in values {
            guard let element = Element(value) else { return nil }
            append(element)
        }
    }
}

extension Dictionary: JSONReadable where Key == String, Value: JSONReadable {
    init?(_ json: JSONValue) {
        guard case .object(let members) = json else { return nil }
        self = [:]
        for (name, member) in members {
            guard let value = Value(member) else { return nil }
            self[name] = value
        }
    }
}
