import Foundation
import PhiTestSupport
import Phi

/// Schemas of all kinds, and a check of values against them that shares nothing with the library.
enum JSONSchemas {
    static let all = [
        "{}", #"{"type":"object"}"#, #"{"type":"string"}"#, #"{"type":"integer"}"#, #"{"type":"number"}"#,
        #"{"type":"array"}"#, #"{"type":["string","null"]}"#, #"{"enum":["a",1,null,{"x":[1,"é\"\\\n"]},true]}"#,
        #"{"type":"string","enum":["red","green",3]}"#, #"{"const":"x\ty"}"#,
        #"{"type":"integer","minimum":-17,"maximum":123}"#, #"{"type":"integer","exclusiveMinimum":0}"#,
        #"{"type":"integer","minimum":5,"maximum":5}"#, #"{"type":"integer","maximum":-3}"#,
        #"{"type":"integer","minimum":0.5,"exclusiveMaximum":1e6}"#, #"{"type":"number","minimum":0,"maximum":1}"#,
        #"{"type":"number","exclusiveMinimum":-2,"exclusiveMaximum":2}"#,
        #"{"type":"number","minimum":-10,"maximum":-3}"#,
        #"{"type":"number","exclusiveMinimum":3,"exclusiveMaximum":4}"#, #"{"type":"number","maximum":0}"#,
        #"{"type":"string","minLength":3,"maxLength":5}"#,
        #"{"type":"string","pattern":"^[a-z]{1,3}@[a-z]{2}\\.com$"}"#,
        #"{"type":"string","pattern":"ab|^c"}"#, #"{"type":"string","format":"date-time"}"#,
        #"{"type":"string","format":"uuid"}"#, #"{"type":"string","format":"email"}"#,
        #"{"type":"string","format":"ipv4"}"#,
        #"""
        {"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer","minimum":0,"maximum":150}},
        "required":["name","age"],"additionalProperties":false}
        """#,
        #"""
        {"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"boolean"},"c":{"type":"null"},
        "d":{"type":"string"}},"required":["c"]}
        """#,
        #"{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"boolean"}}}"#,
        #"""
        {"type":"object","properties":{"a":{"type":"integer"},"ab":{"type":"boolean"},"é":{}},
        "additionalProperties":{"type":"string"},"required":["ab"]}
        """#,
        #"{"type":"object","additionalProperties":{"type":"integer"}}"#,
        #"{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":4}"#, #"{"type":"array","maxItems":0}"#,
        #"{"prefixItems":[{"type":"integer"},{"type":"string"}],"items":{"type":"null"},"minItems":3,"maxItems":5}"#,
        #"""
        {"anyOf":[{"type":"integer"},{"type":"object","properties":{"x":{"type":"number"}},"required":["x"]},
        {"type":"null"}]}
        """#,
        #"""
        {"$defs":{"Node":{"type":"object","properties":{"value":{"type":"integer"},
        "next":{"anyOf":[{"$ref":"#/$defs/Node"},{"type":"null"}]}},"required":["value","next"]}},"$ref":"#/$defs/Node"}
        """#,
        #"""
        {"type":"object","properties":{"name":{"type":"string"},"children":{"type":"array","items":{"$ref":"#"}}},
        "required":["name","children"],"additionalProperties":false}
        """#,
        #"""
        {"$defs":{"Num":{"type":"object","properties":{"op":{"const":"num"},"v":{"type":"number"}},"required":["op","v"]},
        "Add":{"type":"object","properties":{"op":{"const":"add"},"l":{"$ref":"#/$defs/Expr"},"r":{"$ref":"#/$defs/Expr"}},
        "required":["op","l","r"]},
        "Expr":{"oneOf":[{"$ref":"#/$defs/Add"},{"$ref":"#/$defs/Num"}]}},"$ref":"#/$defs/Add"}
        """#,
        #"""
        {"type":"object","properties":{"a":{"allOf":[{"$ref":"#/$defs/S"}],"title":"x"},"list":{"type":"array",
        "items":{"$ref":"#/$defs/S"}}},"required":["a","list"],"$defs":{"S":{"type":"string","enum":["red","green"]}}}
        """#,
        #"{"type":"object","required":["q"],"properties":{"p":{"type":"string"}}}"#,
        #"{"type":["object","array"],"items":{"type":"integer"},"properties":{"z":{"type":"null"}}}"#,
    ]

    /// A text of the automaton, by random steps that end soon; nil if it gets too long.
    static func randomText(_ automaton: Automaton, _ random: inout SeededRandom) -> [UInt8]? {
        var stack = AutomatonStack()
        var position = Automaton.Position(state: automaton.start)
        var text: [UInt8] = []
        while text.count < 1000 {
            if random.below(2) == 0, automaton.accepts(position, stack) { return text }
            // What ends values is tried first at times, and then all bytes from a random one on.
            let ends = random.below(text.count > 200 ? 2 : 8) == 0 ? Array("\"]}".utf8) : []
            let first = random.below(256)
            let bytes = ends + (0..<256).map { UInt8(($0 + first) % 256) }
            guard let byte = bytes.first(where: { automaton.next(position, $0, &stack) != nil }),
                let next = automaton.next(position, byte, &stack)
            else { return automaton.accepts(position, stack) ? text : Array("no way out".utf8) }
            text.append(byte)
            position = next
        }
        return nil
    }

    /// Whether a text is JSON that is valid under a schema.
    static func isValid(_ text: [UInt8], _ schema: String) throws -> Bool {
        let schema = try JSONSerialization.jsonObject(with: Data(schema.utf8), options: .fragmentsAllowed)
        guard let value = try? JSONSerialization.jsonObject(with: Data(text), options: .fragmentsAllowed) else {
            return false
        }
        return isValid(value, schema, root: schema)
    }

    private static func isValid(_ value: Any, _ schema: Any, root: Any) -> Bool {
        guard let schema = schema as? [String: Any] else { return isBool(schema) && schema as? Bool ?? false }
        return schema.allSatisfy { keyword, argument in
            check(value, keyword, argument, schema, root) ?? true
        }
    }

    /// Numbers and booleans are of one class in Foundation.
    private static func isBool(_ value: Any) -> Bool {
        (value as? NSNumber).map { String(cString: $0.objCType) == "c" } ?? false
    }

    private static func number(_ value: Any) -> Double? { isBool(value) ? nil : (value as? NSNumber)?.doubleValue }

    /// Whether a keyword holds; nil if it says nothing about the value.
    private static func check(
        _ value: Any, _ keyword: String, _ argument: Any, _ schema: [String: Any], _ root: Any
    ) -> Bool? {
        func holds(_ value: Any, _ schema: Any) -> Bool { isValid(value, schema, root: root) }
        let (object, array, string) = (value as? [String: Any], value as? [Any], value as? String)
        let (size, bound) = (number(value), number(argument) ?? 0)
        switch keyword {
        case "type":
            return (argument as? [String] ?? [argument as? String ?? ""]).contains { type in
                switch type {
                case "object": object != nil
                case "array": array != nil
                case "string": string != nil
                case "number": size != nil
                case "integer": size.map { $0 == $0.rounded() } ?? false
                case "boolean": isBool(value)
                default: value is NSNull
                }
            }
        case "enum": return (argument as? [NSObject])?.contains { $0 == value as? NSObject }
        case "const": return argument as? NSObject == value as? NSObject
        case "anyOf": return (argument as? [Any])?.contains { holds(value, $0) }
        case "allOf": return (argument as? [Any])?.allSatisfy { holds(value, $0) }
        case "oneOf": return (argument as? [Any])?.filter { holds(value, $0) }.count == 1
        case "$ref":
            var target = root
            for part in (argument as? String ?? "").split(separator: "/").dropFirst() {
                target = (target as? [String: Any])?[String(part)] ?? false
            }
            return holds(value, target)
        case "properties":
            return (argument as? [String: Any]).flatMap { properties in
                object?.allSatisfy { name, member in properties[name].map { holds(member, $0) } ?? true }
            }
        case "required":
            return (argument as? [String]).flatMap { names in object.map { o in names.allSatisfy { o[$0] != nil } } }
        case "additionalProperties":
            let known = schema["properties"] as? [String: Any] ?? [:]
            return object?.allSatisfy { name, member in known[name] != nil || holds(member, argument) }
        case "items":
            let first = (schema["prefixItems"] as? [Any])?.count ?? 0
            return array?.dropFirst(first).allSatisfy { holds($0, argument) }
        case "prefixItems": return array.map { zip($0, argument as? [Any] ?? []).allSatisfy(holds) }
        case "minItems": return array.map { Double($0.count) >= bound }
        case "maxItems": return array.map { Double($0.count) <= bound }
        case "minLength": return string.map { Double($0.unicodeScalars.count) >= bound }
        case "maxLength": return string.map { Double($0.unicodeScalars.count) <= bound }
        case "pattern":
            return string.map { $0.range(of: argument as? String ?? "", options: .regularExpression) != nil }
        case "minimum": return size.map { $0 >= bound }
        case "maximum": return size.map { $0 <= bound }
        case "exclusiveMinimum": return size.map { $0 > bound }
        case "exclusiveMaximum": return size.map { $0 < bound }
        case "format":
            let patterns = [
                "uuid": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "email": #"^[^@\s]+@[^@.\s]+(\.[^@.\s]+)+$"#,
                "ipv4": #"^\d{1,3}(\.\d{1,3}){3}$"#,
                "date-time": #"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"#,
            ]
            let pattern = patterns[argument as? String ?? ""] ?? ""
            return string.map { $0.range(of: pattern, options: .regularExpression) != nil }
        default: return nil
        }
    }
}

extension Automaton {
    /// Whether a whole text is one of the automaton's.
    func matches(_ text: some Sequence<UInt8>) -> Bool {
        var stack = AutomatonStack()
        var position = Position(state: start)
        for byte in text {
            guard let next = self.next(position, byte, &stack) else { return false }
            position = next
        }
        return accepts(position, stack)
    }
}
