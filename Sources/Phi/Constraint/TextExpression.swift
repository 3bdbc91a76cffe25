/// A set of texts: a regular expression, which may also refer to rules and so nest.
indirect enum TextExpression: Sendable {
    /// One scalar of the set.
    case scalars(ScalarSet)
    /// One of each, in order; none at all is the empty text.
    case sequence([TextExpression])
    /// One of them; of none there is no text.
    case choice([TextExpression])
    /// So many in a row; without a maximum if it is nil.
    case repeated(TextExpression, least: Int, most: Int?)
    /// So many in a row, at least one, with separators between them.
    case joined(TextExpression, separator: TextExpression, least: Int, most: Int?)
    /// Items in order, those that are optional or not, with separators between the ones that are there.
    case list([(item: TextExpression, isRequired: Bool)], separator: TextExpression)
    /// A text of the rule with this number. It begins and ends by itself: the rule's texts are JSON values or white space.
    case rule(Int)

    /// The text alone.
    static func text(_ text: String) -> TextExpression {
        .sequence(text.unicodeScalars.map { .scalars(ScalarSet([$0])) })
    }

    /// One ASCII character of `characters`.
    static func one(of characters: String) -> TextExpression { .scalars(ScalarSet(characters.unicodeScalars)) }

    static func optional(_ expression: TextExpression) -> TextExpression { .choice([expression, .sequence([])]) }

    static func digits(_ least: Int, _ most: Int) -> TextExpression {
        .repeated(.scalars(ScalarSet([0x30...0x39])), least: least, most: most)
    }
}
