import Phi
import PhiTestSupport
import Testing

/// JSON schemas: texts of the automaton are valid, and what is not supported is refused by its name.
struct JSONSchemaTests {
    @Test(arguments: JSONSchemas.all)
    func textsAreValid(_ schema: String) throws {
        let constraint = try Constraint.jsonSchema(schema)
        var random = SeededRandom(seed: 1)
        var texts: Set<[UInt8]> = []
        for _ in 0..<60 {
            guard let text = JSONSchemas.randomText(constraint.automaton, &random) else { continue }
            texts.insert(text)
            #expect(try JSONSchemas.isValid(text, schema), "\(schema): \(String(decoding: text, as: UTF8.self))")
        }
        // Random texts hardly ever hold what one pattern looks for, or end where each value holds two of its kind.
        #expect(!texts.isEmpty || schema.contains("ab|^c") || schema.contains("Expr"))
    }

    /// The check of the tests can say no.
    @Test(arguments: [
        ("1.5", #"{"type":"integer"}"#), ("true", #"{"type":"number"}"#), ("1", #"{"type":"boolean"}"#),
        ("[1]", #"{"maxItems":0}"#),
        (#"{"a":1}"#, #"{"required":["b"]}"#), (#"{"a":1}"#, #"{"additionalProperties":false}"#),
        ("3", #"{"exclusiveMaximum":3}"#),
        (#""x""#, #"{"enum":["y",1]}"#), ("[1,2]", #"{"prefixItems":[{},{"type":"null"}]}"#), ("{", "{}"),
        (#""xcx""#, #"{"pattern":"^c"}"#),
        (#"{"a":{}}"#, ##"{"properties":{"a":{"$ref":"#/$defs/x"}},"$defs":{"x":{"type":"null"}}}"##),
    ])
    func valuesCanBeInvalid(_ text: String, _ schema: String) throws {
        #expect(try !JSONSchemas.isValid(Array(text.utf8), schema))
    }

    private func accepts(_ schema: String, _ text: String) throws -> Bool {
        try Constraint.jsonSchema(schema).automaton.matches(text.utf8)
    }

    /// An accented letter in one scalar and in two, and two signs that are canonically equivalent.
    @Test func keysAndConstraintsAreComparedByScalars() throws {
        let (one, two) = ("\u{E9}", "e\u{301}")
        #expect(try Constraint.regex(one) != Constraint.regex(two))
        #expect(try Constraint.choice([one]) != Constraint.choice([two]))
        #expect(try Constraint.regex("[K]") != Constraint.regex("[\u{212A}]"))
        let both =
            #"{"type":"object","properties":{"\#(one)":{"const":1},"\#(two)":{"const":2}},"required":["\#(two)"]}"#
        #expect(try accepts(both, #"{"\#(two)":2}"#))
        #expect(try accepts(both, #"{"\#(one)":1,"\#(two)":2}"#))
        #expect(try !accepts(both, #"{"\#(one)":1}"#))
    }

    @Test func referencesLeadWhereTheyShould() throws {
        let spaced = ##"{"$ref":"#/$defs/a%20b","$defs":{"a b":{"const":7}}}"##
        #expect(try accepts(spaced, "7"))
        // A name with a percent sign is not the one that it would be decoded.
        let percent = ##"""
            {"type":"object","properties":{"a%25b":{"anyOf":[{"type":"null"},{"type":"array","items":{"$ref":"#/properties/a%2525b"}}]},
            "a%b":{"anyOf":[{"type":"boolean"},{"type":"array","items":{"$ref":"#/properties/a%25b"}}]}},"required":["a%25b","a%b"]}
            """##
        #expect(try accepts(percent, #"{"a%25b":[[null]],"a%b":[[true]]}"#))
        for text in [#"{"a%25b":[[true]],"a%b":true}"#, #"{"a%25b":null,"a%b":[[null]]}"#] {
            #expect(try !accepts(percent, text), "\(text)")
        }
        // A mark that combines with the separator before it is a name of its own.
        let mark = ##"{"$ref":"#/$defs/\##u{301}~0\##u{301}","$defs":{"\##u{301}~\##u{301}":{"const":7}}}"##
        #expect(try accepts(mark, "7"))
        // Names and data that look like keywords.
        let named = ##"{"type":"object","properties":{"definitions":{"type":"array","items":{"$ref":"#"}}}}"##
        #expect(try accepts(named, #"{"definitions":[{"definitions":[]}]}"#))
        let data = ##"{"anyOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"const":{"$ref":"x"},"examples":[{"$ref":"y"}]}}}"##
        #expect(try accepts(data, #"{"$ref":"x"}"#))
        let embedded = ##"{"$ref":"#/$defs/x","$defs":{"x":{"$id":"http://e.org/x","items":{"$ref":"#/$defs/i"}}}}"##
        let error = #expect(throws: OptionError.self) { try Constraint.jsonSchema(embedded) }
        #expect(error?.fault.contains("$id") ?? false)
        #expect(try accepts(##"{"$id":"http://e.org/x","$ref":"#/$defs/a","$defs":{"a":{"$id":"y","const":1}}}"##, "1"))
    }

    @Test func lengthsAndNumbersHaveRoom() throws {
        let long = String(repeating: "x", count: 5000)
        #expect(try accepts(#"{"type":"string","maxLength":5000}"#, #""\#(long)""#))
        #expect(try !accepts(#"{"type":"string","maxLength":5000}"#, #""\#(long)x""#))
        #expect(try accepts(#"{"type":"integer","enum":[100000000000000000000]}"#, "100000000000000000000"))
        #expect(try !accepts(#"{"type":"integer","enum":[1.5,2]}"#, "1.5"))
        #expect(try accepts(#"{"prefixItems":[{},{},{}],"maxItems":2}"#, "[1,2]"))
        #expect(try !accepts(#"{"prefixItems":[{},{},{}],"maxItems":2}"#, "[1,2,3]"))
        #expect(try !accepts(#"{"type":"string","format":"date"}"#, #""0000-05-01""#))
        #expect(try accepts(#"{"type":"string","format":"date"}"#, #""0001-05-01""#))
    }

    @Test func usualTextsAreAccepted() throws {
        let person =
            #"{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name"]}"#
        for text in [
            #"{"name":"x","age":3}"#, #"{"name": "x", "age": 3}"#,
            "{\n    \"name\": \"\\u00e9\\n\",\n    \"age\": -30\n}", #"{ "name": "é" }"#,
        ] { #expect(try accepts(person, text), "\(text)") }
        for text in [
            #"{"age":3,"name":"x"}"#, #"{"age":3}"#, #"{"name":"x",}"#, #"{"name":"x"}"# + " ", " {}",
            #"{"name":"\ud800"}"#,
            #"{"name":"x","age":03}"#, "{\"name\":\"\n\"}", #"{"name":"x","y":1}"#,
        ] { #expect(try !accepts(person, text), "\(text)") }
        for text in ["[[], {}]", #"{"a": [1, -2.5e+3, true, null, {"b": ""}]}"#, "0", "-0.5"] {
            #expect(try accepts("{}", text))
        }
        let depth = 40
        let nested = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        #expect(try accepts("{}", nested))
        #expect(try !accepts("{}", String(repeating: "[", count: 70) + String(repeating: "]", count: 70)))
        // Bounds hold exactly.
        for (low, high) in [(0, 0), (-5, 17), (99, 101), (1, 1000), (-1234, -17), (-100, 100)] {
            let schema = #"{"type":"integer","minimum":\#(low),"maximum":\#(high)}"#
            let automaton = try Constraint.jsonSchema(schema).automaton
            for value in -1300...1100 {
                #expect(
                    automaton.matches("\(value)".utf8) == (low...high).contains(value), "\(schema) \(value)")
            }
        }
    }

    @Test(arguments: [
        (#"{"not":{}}"#, "not is"), (#"{"type":"integer","multipleOf":3}"#, "multipleOf is"),
        (#"{"type":"array","uniqueItems":true}"#, "uniqueItems is"),
        (#"{"allOf":[{},{}]}"#, "allOf of several"),
        (#"{"type":"string","pattern":"a","minLength":2}"#, "minLength beside pattern"),
        (##"{"$ref":"#"}"##, "$ref is not"), (##"{"anyOf":[{"$ref":"#/anyOf/0"}]}"##, "$ref is not"),
        (#"{"patternProperties":{}}"#, "patternProperties is"),
        (#"{"$ref":"http://x/y"}"#, "$ref http://x/y beyond"), (##"{"$ref":"#/$defs/x"}"##, "$ref is not a place"),
        (#"{"type":"x"}"#, "type is not"),
        (#"{"type":"string","pattern":"(?=a)"}"#, "pattern in the JSON schema at #: the regular"),
        (#"{"enum":[]}"#, "no text"),
        (##"{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}"##, "no text"),
        (#"{"type":"number","minimum":0.5}"#, "minimum of"),
        (#"{"type":"number","minimum":-9223372036854775808}"#, "minimum of"),
        (#"{"type":"number","exclusiveMaximum":-9223372036854775807}"#, "exclusiveMaximum of"),
        (#"{"type":"number","maximum":9223372036854775808}"#, "maximum of"),
        (#"{"type":"integer","minimum":-9223372036854775808}"#, "minimum beyond 15 digits"),
        ("3", "the value is not"), (#"{"type":"string","maxLength":100000}"#, "too large"), ("{", "is not JSON"),
        (#"{"type":"string","format":"uri"}"#, "format uri"),
        (#"{"properties":{"a":{"if":{}}}}"#, "if is not supported, in the JSON schema at #/properties/a"),
        (#"{"anyOf":[{}],"type":"null"}"#, "type beside anyOf"),
        (#"{"type":"object","minProperties":1}"#, "minProperties is"),
        (#"{"type":"integer","minLength":1}"#, "minLength is"), (#"{"enum":[1],"minimum":0}"#, "minimum beside enum"),
        (#"{"anyOf":[{"properties":{"a":{}}},{"properties":{"a":{"type":"null"},"b":{}}}]}"#, "begin alike"),
        (#"{"minItems":-1}"#, "minItems is not"),
        (#"{"type":"number","minimum":0,"exclusiveMinimum":0}"#, "exclusiveMinimum beside"),
        (#"{"required":["a"],"additionalProperties":false}"#, "additionalProperties where"),
    ])
    func areRefused(_ schema: String, _ fault: String) {
        let error = #expect(throws: OptionError.self) { try Constraint.jsonSchema(schema) }
        #expect(error?.fault.contains(fault) ?? false, "\(schema): \(error?.fault ?? "")")
        #expect(error?.fault.contains("\n") == false)
    }

    @Test func hostileSchemasAreBounded() {
        // Each definition refers twice to the next one.
        let definitions = (0..<25).map {
            ##""d\##($0)":{"properties":{"a":{"$ref":"#/$defs/d\##($0 + 1)"},"b":{"$ref":"#/$defs/d\##($0 + 1)"}}}"##
        }
        let doubling = ##"{"$defs":{\##(definitions.joined(separator: ",")),"d25":{}},"$ref":"#/$defs/d0"}"##
        let chain = (0..<1000).map { ##""d\##($0)":{"items":{"$ref":"#/$defs/d\##($0 + 1)"}}"## }
        let long = ##"{"$defs":{\##(chain.joined(separator: ",")),"d1000":{}},"$ref":"#/$defs/d0"}"##
        let deep = String(repeating: #"{"items":"#, count: 60) + "{}" + String(repeating: "}", count: 60)
        // Each of these levels leads to the references below, and is asked about for each of the others.
        let below = #"{"anyOf":["# + Array(repeating: ##"{"$ref":"#"}"##, count: 7000).joined(separator: ",") + "]}"
        let levels = (0..<50).reduce(below) { schema, _ in #"{"items":\#(schema)}"# }
        let others = (0..<50).map { ##"{"$ref":"#/$defs/d\##(String(repeating: "/items", count: $0))"}"## }
        let wide = ##"{"$defs":{"d":\##(levels)},"anyOf":[\##(others.joined(separator: ","))]}"##
        for schema in [
            doubling, long, wide, #"{"type":"array","items":{"type":"string"},"maxItems":1000000000000}"#,
            #"{"title":"\#(String(repeating: "x", count: 1 << 17))"}"#,
        ] {
            #expect(throws: OptionError.self, "\(schema.prefix(60))") { try Constraint.jsonSchema(schema) }
        }
        #expect(throws: Never.self) { try Constraint.jsonSchema(deep) }
    }
}
