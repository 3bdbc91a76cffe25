extension JSONSchema {
    private static let referenceLimit = 256

    /// The rule of the value at a place.
    mutating func rule(_ schema: JSONValue, _ place: String) -> TextExpression {
        if let number = numbers[ExactText(place)] { return .rule(number) }
        numbers[ExactText(place)] = rules.count
        pending.append((schema, place, rules.count))
        rules.append(.choice([]))
        return .rule(rules.count - 1)
    }

    /// Whether a value may be one that refers to itself.
    mutating func leadsBack(_ schema: JSONValue, _ place: String) throws(OptionError) -> Bool {
        guard case .object(let members) = schema else { return false }
        if case .string(let target) = members["$ref"] { return try refersToItself(target, from: place) }
        for keyword in ["anyOf", "oneOf", "allOf"] {
            guard case .array(let schemas) = members[keyword] else { continue }
            for schema in schemas where try leadsBack(schema, place) { return true }
        }
        return false
    }

    /// What a reference stands for: a rule if it nests and its target refers to itself, else the target's texts.
    mutating func reference(_ json: JSONValue, _ place: String, _ nests: Bool) throws(OptionError) -> TextExpression {
        guard case .string(let target) = json else { throw wrong("$ref", place, "a string") }
        if nests, try refersToItself(target, from: place) {
            return rule(try self.target(target, from: place), target)
        }
        if let known = known[ExactText(target)] { return known }
        guard same.insert(ExactText(target)).inserted else {
            throw wrong("$ref", place, "to another value than itself")
        }
        let texts = try value(self.target(target, from: place), target)
        known[ExactText(target)] = texts
        return texts
    }

    /// The schema at a JSON pointer (RFC 6901).
    func target(_ pointer: String, from place: String) throws(OptionError) -> JSONValue {
        // By bytes: a combining mark behind a separator makes no other character of it.
        guard pointer.utf8.elementsEqual("#".utf8) || pointer.utf8.starts(with: "#/".utf8) else {
            throw unsupported("$ref \(pointer)", place, " beyond the schema")
        }
        var value = root
        for part in pointer.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).dropFirst() {
            guard let part = Self.decoded(Substring(part)) else {
                throw wrong("$ref \(Self.shown(pointer))", place, "a place in the schema")
            }
            let name = Self.unescaped(part)
            switch value {
            case .object(let members): value = members[name] ?? .null
            case .array(let values):
                guard let index = Int(name), String(index) == name, values.indices.contains(index) else {
                    throw wrong("$ref", place, "a place")
                }
                value = values[index]
            default: throw wrong("$ref", place, "a place in the schema")
            }
        }
        guard value != .null else { throw wrong("$ref \(Self.shown(pointer))", place, "a place in the schema") }
        return value
    }

    /// A name as a part of a pointer that ``target(_:from:)`` reads, so that no two places have one pointer.
    static func escaped(_ name: String) -> String {
        name.unicodeScalars.map { $0 == "~" ? "~0" : $0 == "/" ? "~1" : $0 == "%" ? "%25" : String($0) }.joined()
    }

    /// A part of a URI's fragment with its percent-encoding removed; nil if that is none.
    private static func decoded(_ part: Substring) -> String? {
        guard part.utf8.contains(UInt8(ascii: "%")) else { return String(part) }
        var bytes: [UInt8] = []
        var rest = Array(part.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            guard digits.utf8.count == 2, digits.allSatisfy(\.isHexDigit), let value = UInt8(digits, radix: 16) else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func unescaped(_ part: String) -> String {
        var (text, isEscape) = ("", false)
        for scalar in part.unicodeScalars {
            switch (isEscape, scalar) {
            case (true, "0"): text.append("~")
            case (true, "1"): text.append("/")
            case (false, "~"): break
            default: text.unicodeScalars.append(scalar)
            }
            isEscape = !isEscape && scalar == "~"
        }
        return text
    }

    /// Whether the references within a reference's target lead back to it.
    private mutating func refersToItself(_ target: String, from place: String) throws(OptionError) -> Bool {
        if let known = selfReferring[ExactText(target)] { return known }
        var (seen, pending): (Set<ExactText>, [String]) = ([], [target])
        while let next = pending.popLast() {
            let found =
                if let known = references[ExactText(next)] { known } else {
                    // Each once: they are looked at again for each target that leads here.
                    Self.distinct(Self.references(in: try self.target(next, from: place)))
                }
            references[ExactText(next)] = found
            guard references.count <= Self.referenceLimit else {
                throw OptionError(fault: "the JSON schema has references to more than \(Self.referenceLimit) places")
            }
            for place in found where seen.insert(ExactText(place)).inserted { pending.append(place) }
        }
        let leadsBack = seen.contains(ExactText(target))
        selfReferring[ExactText(target)] = leadsBack
        return leadsBack
    }

    private static func distinct(_ targets: [String]) -> [String] {
        var seen: Set<ExactText> = []
        return targets.filter { seen.insert(ExactText($0)).inserted }
    }

    /// The references in a schema and in the schemas that it is made of; not in data such as `const`, nor in definitions.
    static func references(in schema: JSONValue) -> [String] {
        guard case .object(let members) = schema else { return [] }
        return members.flatMap { key, value -> [String] in
            switch (key, value) {
            case ("$ref", .string(let target)): [target]
            case ("properties", .object(let schemas)): schemas.flatMap { references(in: $0.value) }
            case ("items", _), ("additionalProperties", _): references(in: value)
            case ("prefixItems", .array(let schemas)), ("anyOf", .array(let schemas)), ("oneOf", .array(let schemas)),
                ("allOf", .array(let schemas)):
                schemas.flatMap(references)
            default: []
            }
        }
    }
}
