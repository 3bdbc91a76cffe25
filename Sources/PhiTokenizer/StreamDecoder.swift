/// A streaming decoder: converts tokens to text one at a time, as they are sampled.
///
///     var decoder = StreamDecoder(vocabulary)
///     for id in ids { print(decoder.push(id), terminator: "") }
///     print(decoder.finish())
///
/// A character's bytes may span several tokens; an incomplete UTF-8 sequence is held back until it is complete or
/// invalid. The concatenated results equal `Tokenizer.decode` of all the tokens, replacement characters included.
public struct StreamDecoder: Sendable {
    private let vocabulary: Vocabulary
    private let skipSpecial: Bool
    /// The bytes of an incomplete UTF-8 sequence, at most 3 between calls.
    private var pending: [UInt8] = []

    /// Creates a decoder for a new sequence of tokens.
    ///
    /// - Parameters:
    ///   - vocabulary: The vocabulary of the tokens.
    ///   - skipSpecial: Whether to omit special tokens, like `<|endoftext|>`.
    public init(_ vocabulary: Vocabulary, skipSpecial: Bool = false) {
        self.vocabulary = vocabulary
        self.skipSpecial = skipSpecial
    }

    /// Appends a token and returns the text that it completes, possibly empty. Linear in the token's bytes.
    public mutating func push(_ id: TokenID) -> String {
        if skipSpecial, vocabulary.isSpecial(id) { return "" }
        pending += vocabulary.bytes(of: id)
        let complete = pending.count - UTF8Sequence.incompleteSuffixLength(pending)
        let text = String(decoding: pending[..<complete], as: UTF8.self)
        pending.removeFirst(complete)
        return text
    }

    /// Ends the sequence: returns U+FFFD for an incomplete UTF-8 sequence, and resets the decoder.
    public mutating func finish() -> String {
        defer { pending.removeAll() }
        return String(decoding: pending, as: UTF8.self)
    }
}
