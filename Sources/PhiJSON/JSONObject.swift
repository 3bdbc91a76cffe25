/// A JSON object made of named values; those that are nil are left out. Numbers that are not finite, which JSON lacks, are null.
///
///     try JSONText.encode(["name": file.path, "size": file.size, "comment": comment] as JSONObject)
package struct JSONObject: Encodable, Sendable, ExpressibleByDictionaryLiteral {
    package typealias Value = (any Encodable & Sendable)?

    private let members: [(name: String, value: Value)]

    package init(_ members: [(name: String, value: Value)]) { self.members = members }

    package init(dictionaryLiteral members: (String, Value)...) { self.init(members) }

    package static func + (first: JSONObject, second: JSONObject) -> JSONObject {
        JSONObject(first.members + second.members)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: JSONKey.self)
        for case (let name, let value?) in members {
            switch value {
            case let number as Double where !number.isFinite: try container.encodeNil(forKey: JSONKey(name))
            case let numbers as [Double]:
                try container.encode(numbers.map { $0.isFinite ? $0 : nil }, forKey: JSONKey(name))
            default: try container.encode(value, forKey: JSONKey(name))
            }
        }
    }
}

/// A key of any name.
package struct JSONKey: CodingKey {
    package let stringValue: String
    package var intValue: Int? { nil }

    package init(_ name: String) { stringValue = name }
    package init?(stringValue: String) { self.init(stringValue) }
    package init?(intValue: Int) { nil }
}
