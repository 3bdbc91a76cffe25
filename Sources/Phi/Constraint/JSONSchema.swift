/// A compiler of JSON schemas (draft 2020-12, and earlier ones where they agree) to rules of ``TextExpression``.
///
/// Every text of the rules is valid under the schema, but for `oneOf`, which is taken as `anyOf`: a text may be valid under several of
/// its schemas. To refuse those that may overlap would refuse usual unions, whose discriminator has a default and is not required.
/// Not every valid value is one of their texts: properties come in the schema's order, further ones only where `additionalProperties` is given, and a `type` may follow from other keywords. A keyword that is
/// neither supported nor an annotation is refused.
struct JSONSchema {
    /// The rules, of which the first is the schema's. Throws ``OptionError`` naming what is not supported, and where.
    static func rules(_ schema: JSONValue) throws(OptionError) -> [TextExpression] {
        var compiler = JSONSchema(root: schema)
        compiler.rules = [.choice([])] + JSONExpressions.rules
        compiler.rules[0] = try compiler.value(schema, "#")
        while let (schema, place, number) = compiler.pending.popLast() {
            compiler.rules[number] = try compiler.value(schema, place)
        }
        return compiler.rules
    }

    let root: JSONValue
    var rules: [TextExpression] = []
    /// By place, the number of its rule.
    var numbers: [ExactText: Int] = [:]
    var pending: [(schema: JSONValue, place: String, number: Int)] = []
    /// By place, what a reference to it stands for.
    var known: [ExactText: TextExpression] = [:]
    /// The places that the value being compiled is by reference.
    var same: Set<ExactText> = []
    /// By place, the references within it, and whether one of them leads back.
    var references: [ExactText: [String]] = [:]
    var selfReferring: [ExactText: Bool] = [:]
    private var depth = 0

    private init(root: JSONValue) { self.root = root }

    func unsupported(_ keyword: String, _ place: String, _ reason: String = "") -> OptionError {
        OptionError(
            fault: "\(Self.shown(keyword))\(reason) is not supported, in the JSON schema at \(Self.shown(place))")
    }

    func wrong(_ keyword: String, _ place: String, _ expected: String) -> OptionError {
        OptionError(fault: "\(keyword) is not \(expected), in the JSON schema at \(Self.shown(place))")
    }

    /// A part of the schema in one line.
    static func shown(_ text: String) -> String {
        String(text.prefix(80).map { $0.isNewline || $0 < " " ? "?" : $0 })
    }

    // MARK: Values

    private static let annotations: Set<String> = [
        "title", "description", "default", "examples", "example", "deprecated", "readOnly", "writeOnly", "$schema",
        "$id", "$comment", "$defs", "definitions", "discriminator", "contentMediaType", "contentEncoding",
    ]

    /// The texts of a value; one that `nests` is behind at least a byte of another, so it may be a rule's.
    mutating func value(
        _ schema: JSONValue, _ place: String, nests: Bool = false
    ) throws(OptionError) -> TextExpression {
        guard depth < JSONValue.depthLimit else {
            throw OptionError(
                fault: "the JSON schema, with its references followed, nests deeper than \(JSONValue.depthLimit)")
        }
        depth += 1
        let outer = same
        if nests { same = [] }
        defer { (depth, same) = (depth - 1, outer) }
        switch schema {
        case .bool(false): return .choice([])
        case .bool(true): return anything(nests)
        case .object(let members):
            // References in it would be to places in it, or by it.
            if members["$id"] != nil, place != "#", !Self.references(in: schema).isEmpty {
                throw unsupported("$id", place, " below the root, with references in it,")
            }
            let keywords = members.keys.filter { !Self.annotations.contains($0) }
            return keywords.isEmpty ? anything(nests) : try value(members, keywords, place, nests)
        default: throw wrong("the value", place, "an object, true or false")
        }
    }

    private func anything(_ nests: Bool) -> TextExpression {
        nests ? .rule(JSONExpressions.any) : JSONExpressions.value
    }

    private mutating func value(
        _ members: JSONMembers, _ keywords: [String], _ place: String, _ nests: Bool
    ) throws(OptionError) -> TextExpression {
        for keyword in ["$ref", "anyOf", "oneOf", "allOf"] {
            guard let json = members[keyword] else { continue }
            if let other = keywords.first(where: { $0 != keyword }) {
                throw unsupported(other, place, " beside \(keyword)")
            }
            if keyword == "$ref" { return try reference(json, place, nests) }
            guard case .array(let schemas) = json, !schemas.isEmpty else {
                throw wrong(keyword, place, "a list of schemas")
            }
            if keyword == "allOf", schemas.count > 1 { throw unsupported("allOf", place, " of several schemas") }
            if nests, try leadsBack(.object(members), place) { return rule(.object(members), place) }
            var choices: [TextExpression] = []
            for (index, schema) in schemas.enumerated() {
                choices.append(try value(schema, "\(place)/\(keyword)/\(index)"))
            }
            return .choice(choices)
        }
        if let texts = try constants(members, keywords, place) { return texts }
        return try typed(members, keywords, place)
    }

    /// The values of `enum` or `const`, those of the wrong type left out.
    private func constants(
        _ members: JSONMembers, _ keywords: [String], _ place: String
    ) throws(OptionError) -> TextExpression? {
        guard let keyword = ["enum", "const"].first(where: { members[$0] != nil }), let json = members[keyword] else {
            return nil
        }
        if let other = keywords.first(where: { $0 != keyword && $0 != "type" }) {
            throw unsupported(other, place, " beside \(keyword)")
        }
        var values = [json]
        if keyword == "enum" {
            guard case .array(let list) = json else { throw wrong(keyword, place, "a list") }
            values = list
        }
        let types = try types(members, place)
        return .choice(
            values.filter { value in types?.contains { Self.isOf($0, value) } ?? true }.map {
                .text(JSONExpressions.text(of: $0))
            })
    }

    private static func isOf(_ type: String, _ value: JSONValue) -> Bool {
        switch value {
        case .null: type == "null"
        case .bool: type == "boolean"
        case .number(let number): type == "number" || type == "integer" && number.isWhole
        case .string: type == "string"
        case .array: type == "array"
        case .object: type == "object"
        }
    }
}
