extension JSONSchema {
    private static let keywords: [String: [String]] = [
        "object": ["properties", "required", "additionalProperties", "minProperties"],
        "array": ["items", "prefixItems", "minItems", "maxItems", "uniqueItems"],
        "string": ["minLength", "maxLength", "pattern", "format"],
        "number": numeric, "integer": numeric, "boolean": [], "null": [],
    ]
    private static let numeric = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]

    func types(_ members: JSONMembers, _ place: String) throws(OptionError) -> [String]? {
        var types: [String] = []
        switch members["type"] {
        case nil: return nil
        case .string(let type): types = [type]
        case .array(let list): types = list.map { if case .string(let type) = $0 { type } else { "" } }
        default: break
        }
        guard !types.isEmpty, types.allSatisfy({ Self.keywords[$0] != nil }) else {
            throw wrong("type", place, "one or several of \(Self.keywords.keys.sorted().joined(separator: ", "))")
        }
        return types
    }

    /// The texts by `type`, or by the one type that the keywords are of.
    mutating func typed(
        _ members: JSONMembers, _ keywords: [String], _ place: String
    ) throws(OptionError) -> TextExpression {
        let types =
            try types(members, place)
            ?? ["object", "array", "string", "number"].filter { type in
                Self.keywords[type]?.contains(where: keywords.contains) ?? false
            }
        let known = Set(types.flatMap { Self.keywords[$0] ?? [] } + ["type"])
        if let other = keywords.first(where: { !known.contains($0) }) { throw unsupported(other, place) }
        var choices: [TextExpression] = []
        for type in types {
            switch type {
            case "object": choices.append(try object(members, place))
            case "array": choices.append(try array(members, place))
            case "string": choices.append(try string(members, place))
            case "number": choices.append(try number(members, place))
            case "integer": choices.append(try integer(members, place))
            case "boolean": choices += [.text("true"), .text("false")]
            default: choices.append(.text("null"))
            }
        }
        return .choice(choices)
    }

    private func count(_ members: JSONMembers, _ keyword: String, _ place: String) throws(OptionError) -> Int? {
        guard let json = members[keyword] else { return nil }
        guard case .number(let number) = json, let count = number.whole(Int.self), count >= 0 else {
            throw wrong(keyword, place, "a whole number of 0 or more")
        }
        return count
    }

    private mutating func object(_ members: JSONMembers, _ place: String) throws(OptionError) -> TextExpression {
        if try count(members, "minProperties", place) ?? 0 > 0 { throw unsupported("minProperties", place) }
        var properties: JSONMembers = [:]
        if let json = members["properties"] {
            guard case .object(let members) = json else { throw wrong("properties", place, "an object") }
            properties = members
        }
        var required: [String] = []
        if let json = members["required"] {
            guard case .array(let list) = json else { throw wrong("required", place, "a list of strings") }
            for name in list {
                guard case .string(let name) = name else { throw wrong("required", place, "a list of strings") }
                required.append(name)
            }
        }
        let further = members["additionalProperties"]
        for name in required where properties[name] == nil && properties.append(name, .bool(true)) {
            guard further == nil || further == .bool(true) else {
                throw unsupported("additionalProperties", place, " where required names other properties")
            }
        }
        var items: [(item: TextExpression, isRequired: Bool)] = []
        let isRequired = Set(required.map(ExactText.init))
        for (name, schema) in properties {
            let key = TextExpression.text(JSONExpressions.text(of: name))
            let value = try value(schema, "\(place)/properties/\(Self.escaped(name))", nests: true)
            items.append((JSONExpressions.member(key, value), isRequired.contains(ExactText(name))))
        }
        let isOpen = further ?? .bool(properties.keys.isEmpty && members["properties"] == nil)
        guard isOpen != .bool(false) else { return JSONExpressions.object(items, repeats: false) }
        guard properties.keys.allSatisfy({ $0.unicodeScalars.count <= 128 }) else {
            throw unsupported("additionalProperties", place, " beside names of more than 128 characters")
        }
        let key = properties.keys.isEmpty ? JSONExpressions.string() : JSONExpressions.key(except: properties.keys)
        let value = try value(isOpen, "\(place)/additionalProperties", nests: true)
        return JSONExpressions.object(items + [(JSONExpressions.member(key, value), false)], repeats: true)
    }

    private mutating func array(_ members: JSONMembers, _ place: String) throws(OptionError) -> TextExpression {
        guard members["uniqueItems"] ?? .bool(false) == .bool(false) else { throw unsupported("uniqueItems", place) }
        var first: [TextExpression] = []
        if let json = members["prefixItems"] {
            guard case .array(let list) = json else { throw wrong("prefixItems", place, "a list of schemas") }
            for (index, schema) in list.enumerated() {
                first.append(try value(schema, "\(place)/prefixItems/\(index)", nests: true))
            }
        }
        let items = members["items"] ?? .bool(true)
        var most = try count(members, "maxItems", place)
        if items == .bool(false) { most = min(most ?? .max, first.count) }
        if let most { first = Array(first.prefix(most)) }
        return JSONExpressions.array(
            try value(items, "\(place)/items", nests: true), after: first,
            least: try count(members, "minItems", place) ?? 0, most: most)
    }

    private static let formats: [String: String] = {
        let days = [
            #"(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])"#, #"(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"#,
            #"02-(?:0[1-9]|1\d|2[0-8])"#,
        ]
        let date = #"(?:[1-9]\d{3}|0[1-9]\d\d|00[1-9]\d|000[1-9])-(?:"# + days.joined(separator: "|") + ")"
        let time = #"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)"#
        let (name, octet) = ("[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*", #"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"#)
        return [
            "date": "^\(date)$", "time": "^\(time)$", "date-time": "^\(date)T\(time)$",
            "email": "^\(name)(?:[._+]\(name))*@\(name)(?:\\.\(name))+$", "ipv4": "^\(octet)(?:\\.\(octet)){3}$",
            "uuid": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        ]
    }()

    private func string(_ members: JSONMembers, _ place: String) throws(OptionError) -> TextExpression {
        let (least, most) = (try count(members, "minLength", place), try count(members, "maxLength", place))
        if let most, most < least ?? 0 { return .choice([]) }
        guard let keyword = ["pattern", "format"].first(where: { members[$0] != nil }) else {
            return JSONExpressions.string(least: least ?? 0, most: most)
        }
        for other in ["minLength", "maxLength", "format"] where other != keyword && members[other] != nil {
            throw unsupported(other, place, " beside \(keyword)")
        }
        guard case .string(var pattern) = members[keyword] else { throw wrong(keyword, place, "a string") }
        if keyword == "format" {
            guard let known = Self.formats[pattern] else {
                throw unsupported("format \(pattern)", place)
            }
            pattern = known
        }
        do throws(OptionError) {
            let any = TextExpression.repeated(.scalars(.all), least: 0, most: nil)
            let content = try RegexParser.parse(pattern, searches: true, any: any)
            return JSONExpressions.quoted(JSONExpressions.content(content))
        } catch {
            throw OptionError(fault: "\(keyword) in the JSON schema at \(Self.shown(place)): \(error.fault)")
        }
    }

    private func bound(_ members: JSONMembers, _ keyword: String, _ place: String) throws(OptionError) -> Double? {
        guard let json = members[keyword] else { return nil }
        guard case .number(let number) = json, number.double.isFinite else { throw wrong(keyword, place, "a number") }
        return number.double
    }

    private func integer(_ members: JSONMembers, _ place: String) throws(OptionError) -> TextExpression {
        func whole(_ keyword: String, _ round: FloatingPointRoundingRule, _ step: Double) throws(OptionError) -> Int? {
            guard let value = try bound(members, keyword, place) else { return nil }
            guard abs(value) < 1e15 else { throw unsupported(keyword, place, " beyond 15 digits") }
            let rounded = value.rounded(round)
            return Int(rounded == value ? value + step : rounded)
        }
        let low = [try whole("minimum", .up, 0), try whole("exclusiveMinimum", .up, 1)].compactMap(\.self).max()
        let high = [try whole("maximum", .down, 0), try whole("exclusiveMaximum", .down, -1)].compactMap(\.self).min()
        return JSONExpressions.integer(low, high)
    }

    private func number(_ members: JSONMembers, _ place: String) throws(OptionError) -> TextExpression {
        func whole(_ keyword: String, isExclusive: Bool) throws(OptionError) -> JSONExpressions.Bound? {
            guard let value = try bound(members, keyword, place) else { return nil }
            guard let whole = Int(exactly: value), whole.magnitude <= JSONExpressions.boundLimit else {
                throw unsupported(keyword, place, " of a number, unless whole and up to \(JSONExpressions.boundLimit),")
            }
            return JSONExpressions.Bound(value: whole, isExclusive: isExclusive)
        }
        let (low, above) = (try whole("minimum", isExclusive: false), try whole("exclusiveMinimum", isExclusive: true))
        let (high, below) = (try whole("maximum", isExclusive: false), try whole("exclusiveMaximum", isExclusive: true))
        guard low == nil || above == nil, high == nil || below == nil else {
            throw unsupported(
                low != nil && above != nil ? "exclusiveMinimum" : "exclusiveMaximum", place,
                " beside another bound of its side")
        }
        let (least, greatest) = (low ?? above, high ?? below)
        return least == nil && greatest == nil ? JSONExpressions.number : JSONExpressions.number(least, greatest)
    }
}
