/// Turns tokens into text one at a time, as they are sampled.
///
///     var decoder = StreamDecoder(vocabulary)
///     for id in ids { print(decoder.push(id), terminator: "") }
///     print(decoder.finish())
///
/// A character's bytes may be spread over several tokens; they are held back until it is complete or cannot be. The
/// pieces together are what `Tokenizer.decode` gives for all the tokens, U+FFFD for U+FFFD.
public struct StreamDecoder: Sendable {
    private let vocabulary: Vocabulary
    private let skipSpecial: Bool
    /// Bytes not given out: after each call a sequence's beginning, at most 3.
    private var pending: [UInt8] = []

    /// Makes a decoder at the beginning of a text.
    ///
    /// - Parameters:
    ///   - vocabulary: What the tokens stand for.
    ///   - skipSpecial: Whether special tokens, like `<|endoftext|>`, are left out.
    public init(_ vocabulary: Vocabulary, skipSpecial: Bool = false) {
        self.vocabulary = vocabulary
        self.skipSpecial = skipSpecial
    }

    /// Takes the next token and gives the text that is complete by it, which may be none. Linear in the token's bytes.
    public mutating func push(_ id: TokenID) -> String {
        if skipSpecial, vocabulary.isSpecial(id) { return "" }
        pending += vocabulary.bytes(of: id)
        let complete = pending.count - UTF8Sequence.unfinished(pending)
        let text = String(decoding: pending[..<complete], as: UTF8.self)
        pending.removeFirst(complete)
        return text
    }

    /// Ends the text: gives what was held back, as U+FFFD, and is then as new.
    public mutating func finish() -> String {
        defer { pending.removeAll() }
        return String(decoding: pending, as: UTF8.self)
    }
}
