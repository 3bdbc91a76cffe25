/// A set of texts, to one of which a completion is kept: those of a regular expression, of a JSON schema or of a list.
///
/// ```swift
/// let schema = #"{"type": "array", "items": {"type": "integer"}}"#
/// let options = try GenerationOptions(constraint: .jsonSchema(schema))
/// ```
///
/// At each token, those that no text continues get no probability, before penalties, temperature, top-k, top-p and min-p; the
/// tokens that end a text get theirs where the text is complete. When nothing may follow, the completion ends as by an end of text.
/// One that ends for another reason, such as ``GenerationOptions/maximumTokens`` or a stop string, may be incomplete.
///
/// Creating one compiles it, within bounded time and memory. The model's tokens are matched with it when it is first used; the
/// model keeps the last ones, which completions share.
public struct Constraint: Sendable, Equatable {
    /// What it is made of; constraints of equal sources are equal.
    let source: Source
    package let automaton: Automaton

    enum Source: Hashable {
        case regex(ExactText)
        case jsonSchema(ExactText)
        case choice([ExactText])
    }

    private init(_ source: Source, _ rules: () throws(OptionError) -> [TextExpression]) throws(OptionError) {
        self.source = source
        automaton = try AutomatonBuilder.automaton(of: try rules())
    }

    /// The texts that `pattern` matches as a whole.
    ///
    /// The syntax is that of Python's `re` and ECMAScript, as far as both agree: `.` is any character but `\n`, `\r`, U+2028 and
    /// U+2029; classes such as `[a-z]` and `[^"]`; `\d`, `\w`, `\s` of ASCII, and `\D`, `\W`, `\S` without what either may take for a digit, a letter
    /// or a space beyond ASCII; groups, `|`, `*`, `+`, `?`, `{m,n}`. `^` and `$` may stand at the ends of the pattern's own
    /// alternatives, where they have no effect, but not within groups. Throws ``OptionError`` for other anchors, references back,
    /// lookaround and flags, for what the two read differently, such as `{,2}`, `[]a]` and `[^]a]`, and for patterns whose automaton
    /// would be too large.
    public static func regex(_ pattern: String) throws(OptionError) -> Constraint {
        try Constraint(.regex(ExactText(pattern))) { () throws(OptionError) in [try RegexParser.parse(pattern)] }
    }

    /// JSON values that are valid under a schema: `{"type": "object"}` for any object.
    ///
    /// Supported are `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`, `prefixItems`, `minItems`,
    /// `maxItems`, `minLength`, `maxLength`, `pattern`, `format` (`date`, `time`, `date-time`, `email`, `ipv4`, `uuid`), bounds of numbers, `anyOf`
    /// and `oneOf` (as `anyOf`: a text may be valid under several of its schemas), `allOf` of one schema, and `$ref` within the schema,
    /// also to itself. Throws ``OptionError`` naming any other keyword but annotations, and for an `$id` below the root with references in it.
    ///
    /// Properties come in the schema's order; further ones, and any order of them, only with `additionalProperties`, where a key may
    /// come several times. All of `prefixItems` come, as far as `maxItems` allows. White space is a space, or a line break and up
    /// to 32 spaces, and numbers have up to 16 digits, so that a text cannot go on with them. Values, and schemas with the
    /// references in them followed, nest up to 64 deep. A `maxLength` may be some 5,000.
    public static func jsonSchema(_ schema: String) throws(OptionError) -> Constraint {
        let value: JSONValue
        do throws(JSONFault) {
            value = try JSONValue(Array(schema.utf8))
        } catch {
            throw OptionError(fault: "the JSON schema is not JSON: it \(error.message)")
        }
        return try jsonSchema(value)
    }

    /// The same from a schema that is parsed.
    package static func jsonSchema(_ schema: JSONValue) throws(OptionError) -> Constraint {
        let text = JSONExpressions.text(of: schema)
        guard text.utf8.count <= schemaLimit else {
            throw OptionError(fault: "the JSON schema is longer than \(schemaLimit) bytes")
        }
        return try Constraint(.jsonSchema(ExactText(text))) { () throws(OptionError) in try JSONSchema.rules(schema) }
    }

    /// One of `texts`. Throws ``OptionError`` when there are none or too many.
    public static func choice(_ texts: [String]) throws(OptionError) -> Constraint {
        try Constraint(.choice(texts.map(ExactText.init))) { [.choice(texts.map(TextExpression.text))] }
    }

    /// Bytes that a schema may have.
    private static let schemaLimit = 1 << 17

    /// Whether both have the same source.
    public static func == (first: Constraint, second: Constraint) -> Bool { first.source == second.source }
}
