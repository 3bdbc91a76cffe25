/// The texts of JSON values (RFC 8259), as expressions.
///
/// There are more ways to write a value than these: white space is a space, or a line break and up to 32 spaces, and stands after
/// `{`, `[`, `,` and `:` and before `}` and `]`; numbers have up to 16 digits on each side of the point, and surrogates are not
/// escaped; of a string whose length is limited to many, no character is but by the short escapes. What is left out keeps a model from
/// writing white space or digits without an end.
enum JSONExpressions {
    /// The number of the rule for white space, and of that for any value.
    static let (space, any) = (1, 2)

    /// The rules with these numbers.
    static var rules: [TextExpression] {
        [
            .choice([
                .one(of: " "), .sequence([.one(of: "\n"), .repeated(.one(of: " "), least: 0, most: 32)]),
            ]),
            value,
        ]
    }

    /// Any value.
    static var value: TextExpression {
        .choice([
            string(), number, .text("true"), .text("false"), .text("null"), array(.rule(any), least: 0, most: nil),
            object([(member(string(), .rule(any)), false)], repeats: true),
        ])
    }

    // MARK: Arrays and objects

    private static var maybeSpace: TextExpression { .optional(.rule(space)) }
    private static var comma: TextExpression { .sequence([.one(of: ","), maybeSpace]) }

    /// An array of the items `first` and further ones, `least` to `most` in all.
    static func array(
        _ item: TextExpression, after first: [TextExpression] = [], least: Int, most: Int?
    ) -> TextExpression {
        if let most, most < max(least, first.count) { return .choice([]) }
        var items = first.map { (item: $0, isRequired: true) }
        let (least, most) = (max(0, least - first.count), most.map { $0 - first.count })
        if most != 0 {
            items.append((.joined(item, separator: comma, least: max(1, least), most: most), least > 0))
        }
        return enclosed("[", items, "]")
    }

    /// An object of members in order. If it `repeats`, the last may occur any number of times.
    static func object(_ members: [(item: TextExpression, isRequired: Bool)], repeats: Bool) -> TextExpression {
        var members = members
        if repeats, let last = members.popLast() {
            members.append((.joined(last.item, separator: comma, least: 1, most: nil), last.isRequired))
        }
        return enclosed("{", members, "}")
    }

    static func member(_ key: TextExpression, _ value: TextExpression) -> TextExpression {
        .sequence([key, .one(of: ":"), maybeSpace, value])
    }

    private static func enclosed(
        _ start: String, _ items: [(item: TextExpression, isRequired: Bool)], _ end: String
    ) -> TextExpression {
        .sequence([.one(of: start), maybeSpace, .list(items, separator: comma), maybeSpace, .one(of: end)])
    }

    // MARK: Strings

    /// Scalars that stand for themselves in a string.
    static let plain = ScalarSet([0x20...0x21, 0x23...0x5B, 0x5D...0x10FFFF])

    private static let hexDigits = "0123456789abcdefABCDEF"
    private static let escapes: [(scalar: Unicode.Scalar, letter: String)] = [
        ("\"", "\""), ("\\", "\\"), ("\u{8}", "b"), ("\u{C}", "f"), ("\n", "n"), ("\r", "r"), ("\t", "t"),
    ]

    /// One character of a string.
    static var character: TextExpression {
        .choice([
            .scalars(plain),
            .sequence([
                .one(of: "\\"),
                .choice([
                    .one(of: "\"\\/bfnrt"),
                    .sequence([
                        .one(of: "u"),
                        .choice([
                            .sequence([
                                .one(of: "0123456789abcefABCEF"), .repeated(.one(of: hexDigits), least: 3, most: 3),
                            ]),
                            .sequence([
                                .one(of: "dD"), .one(of: "01234567"), .repeated(.one(of: hexDigits), least: 2, most: 2),
                            ]),
                        ]),
                    ]),
                ]),
            ]),
        ])
    }

    /// A character with the short escapes only.
    private static var shortCharacter: TextExpression {
        .choice([.scalars(plain), .sequence([.one(of: "\\"), .one(of: "\"\\/bfnrt")])])
    }
    /// Characters of a string that are counted one by one, up to which each may be any escape.
    private static let fewCharacters = 1024

    static func string(least: Int = 0, most: Int? = nil) -> TextExpression {
        let counted = max(least, most ?? 0)
        return quoted(.repeated(counted > fewCharacters ? shortCharacter : character, least: least, most: most))
    }

    static func quoted(_ content: TextExpression) -> TextExpression {
        .sequence([.one(of: "\""), content, .one(of: "\"")])
    }

    /// The content of strings that are texts of `expression`. Control characters without a short escape are left out.
    static func content(_ expression: TextExpression) -> TextExpression {
        switch expression {
        case .scalars(let set):
            let escaped = escapes.filter { set.contains($0.scalar) }.map { TextExpression.text("\\" + $0.letter) }
            let plain = set.intersection(plain)
            return .choice((plain.isEmpty ? [] : [.scalars(plain)]) + escaped)
        case .sequence(let items): return .sequence(items.map(content))
        case .choice(let items): return .choice(items.map(content))
        case .repeated(let item, let least, let most): return .repeated(content(item), least: least, most: most)
        case .joined, .list, .rule: return expression
        }
    }

    /// A string as it is written.
    static func text(of string: String) -> String {
        var text = "\""
        for scalar in string.unicodeScalars {
            if let escape = escapes.first(where: { $0.scalar == scalar }) {
                text += "\\" + escape.letter
            } else if scalar.value < 0x20 {
                text += (scalar.value < 0x10 ? "\\u000" : "\\u00") + String(scalar.value, radix: 16)
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }

    /// A value as it is written, without white space.
    static func text(of value: JSONValue) -> String {
        switch value {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .number(let number): number.text
        case .string(let string): text(of: string)
        case .array(let values): "[" + values.map(text).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { text(of: $0.key) + ":" + text(of: $0.value) }.joined(separator: ",") + "}"
        }
    }

    /// Keys other than `names`, without escapes.
    static func key(except names: [String]) -> TextExpression {
        let names = names.map { Array($0.unicodeScalars) }.filter { $0.allSatisfy(plain.contains) }
        return quoted(text(except: names.map { $0[...] }))
    }

    private static func text(except names: [ArraySlice<Unicode.Scalar>]) -> TextExpression {
        var bySecond: [Unicode.Scalar: [ArraySlice<Unicode.Scalar>]] = [:]
        for name in names { if let first = name.first { bySecond[first, default: []].append(name.dropFirst()) } }
        let others = plain.intersection(ScalarSet(bySecond.keys).inverted)
        var choices: [TextExpression] = names.contains(where: \.isEmpty) ? [] : [.sequence([])]
        choices.append(.sequence([.scalars(others), .repeated(.scalars(plain), least: 0, most: nil)]))
        for (first, rest) in bySecond.sorted(by: { $0.key < $1.key }) {
            choices.append(.sequence([.scalars(ScalarSet([first])), text(except: rest)]))
        }
        return .choice(choices)
    }
}
