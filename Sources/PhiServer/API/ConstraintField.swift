import Phi

extension CompletionRequest {
    /// The fields that constrain the text: vLLM's, SGLang's, llama-server's and OpenAI's.
    static let constraintFields = [
        "guided_json", "guided_regex", "guided_choice", "structured_outputs", "json_schema", "regex", "response_format",
    ]

    /// Whether a request has one of these fields.
    static func hasConstraint(_ fields: JSONFields) throws(APIError) -> Bool {
        for name in constraintFields where try fields.value(name, "", as: JSONValue.self) != nil { return true }
        return false
    }

    /// The constraint that a request gives; nil if there is none. Throws ``APIError`` when there are two, or it is not supported.
    static func constraint(_ fields: JSONFields) throws(APIError) -> Constraint? {
        var found: (name: String, constraint: Constraint)?
        for name in constraintFields {
            guard let json = try fields.value(name, "", as: JSONValue.self) else { continue }
            guard let constraint = try constraint(json, name) else { continue }
            if let found {
                throw .invalid(name, "\(found.name) and \(name) both constrain the text; give one of them")
            }
            found = (name, constraint)
        }
        return found?.constraint
    }

    private static func constraint(_ json: JSONValue, _ name: String) throws(APIError) -> Constraint? {
        do throws(OptionError) {
            switch (name, json) {
            case ("guided_json", _), ("json_schema", _): return try schema(json)
            case ("guided_regex", .string(let pattern)), ("regex", .string(let pattern)): return try .regex(pattern)
            case ("guided_choice", _): return try choice(json)
            case ("structured_outputs", .object(let members)): return try structured(members)
            case ("response_format", .object(let members)): return try format(members)
            default: throw OptionError(fault: "is of the wrong type")
            }
        } catch {
            throw .invalid(name, "\(name): \(error.fault)")
        }
    }

    /// A schema, as JSON or as its text.
    private static func schema(_ json: JSONValue) throws(OptionError) -> Constraint {
        if case .string(let text) = json { try .jsonSchema(text) } else { try .jsonSchema(json) }
    }

    private static func choice(_ json: JSONValue) throws(OptionError) -> Constraint {
        guard let texts = [String](json) else { throw OptionError(fault: "the choice is not a list of strings") }
        return try .choice(texts)
    }

    private static var anyObject: JSONValue { .object(["type": .string("object")]) }

    /// vLLM's `structured_outputs`, of which one member is the constraint.
    private static func structured(_ members: JSONMembers) throws(OptionError) -> Constraint? {
        let given = members.filter { key, value in
            switch (key, value) {
            case (_, .null), ("json_object", .bool(false)), ("disable_fallback", _),
                ("disable_any_whitespace", .bool(false)),
                ("disable_additional_properties", .bool(false)):
                false
            default: true
            }
        }
        let known: Set = ["json", "regex", "choice", "json_object"]
        if let (key, _) = given.first(where: { !known.contains($0.key) }) {
            throw OptionError(fault: "the member \(key.prefix(64)) is not supported")
        }
        // Before one is compiled, which takes time.
        guard given.count <= 1 else { throw OptionError(fault: "has several constraints; give one of them") }
        guard let (key, value) = given.first else { return nil }
        switch (key, value) {
        case ("json", _): return try schema(value)
        case ("regex", .string(let pattern)): return try .regex(pattern)
        case ("choice", _): return try choice(value)
        case ("json_object", .bool): return try .jsonSchema(anyObject)
        default: throw OptionError(fault: "the member \(key) is of the wrong type")
        }
    }

    /// OpenAI's `response_format`, and llama-server's, in which the schema stands beside the type.
    private static func format(_ members: JSONMembers) throws(OptionError) -> Constraint? {
        switch members["type"] {
        case .string("text"): return nil
        case .string("json_object"): return try .jsonSchema(members["schema"] ?? anyObject)
        case .string("json_schema"):
            if let json = members["schema"] { return try schema(json) }
            guard case .object(let named) = members["json_schema"], let json = named["schema"] else {
                throw OptionError(fault: "json_schema has no schema")
            }
            return try schema(json)
        default: throw OptionError(fault: "the type is not text, json_object or json_schema")
        }
    }
}

extension JSONValue: JSONReadable {
    init?(_ json: JSONValue) { self = json }
}
