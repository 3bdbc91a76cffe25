/// Turns text into tokens and back: the byte-level BPE of GPT-2 and CodeGen.
///
///     let tokenizer = Tokenizer(vocabulary)
///     let ids = tokenizer.encode("def print_prime(n):")
///     let text = tokenizer.decode(ids)
///
/// The ids are those of Hugging Face's `tokenizers`, for any text. Immutable: many threads may use one.
public struct Tokenizer: Sendable {
    /// The tokens and merges.
    public let vocabulary: Vocabulary

    /// Makes a tokenizer. Constant time: the tables were built when the vocabulary was checked.
    public init(_ vocabulary: Vocabulary) {
        self.vocabulary = vocabulary
    }

    /// The tokens of a text.
    ///
    /// Added tokens are found first, the text between them is split by GPT-2's pattern, and in each piece the tokens of
    /// its bytes are merged, lowest rank first (GPT-2's encoder.py; Formats/phi-file.md, 2.2). Nothing is put before or
    /// after.
    ///
    /// - Parameters:
    ///   - text: Any text.
    ///   - specialTokens: Whether special tokens, like `<|endoftext|>`, are found in the text. Pass false for a
    ///     text that somebody else wrote: its characters are then only characters. Added tokens that are not special are
    ///     always found.
    /// - Complexity: Linear, except in pieces above 32 bytes, where it is n log n in their length.
    public func encode(_ text: String, specialTokens: Bool = true) -> [TokenID] {
        var text = text
        return text.withUTF8 { encode(ByteView($0), specialTokens: specialTokens) }
    }

    /// The tokens of bytes that should be UTF-8.
    ///
    /// As `encode` of a text; a byte that is not part of well-formed UTF-8 counts as a character that is neither
    /// letter, number nor white space. `decodeBytes` gives the same bytes back, whatever they are.
    public func encode(bytes: [UInt8], specialTokens: Bool = true) -> [TokenID] {
        bytes.withUnsafeBufferPointer { encode(ByteView($0), specialTokens: specialTokens) }
    }

    private func encode(_ text: ByteView, specialTokens: Bool) -> [TokenID] {
        var encoding = Encoding(text, vocabulary)
        var position = 0
        while let (range, id) = vocabulary.index.added.next(in: text, from: position, special: specialTokens) {
            encoding.append(position..<range.lowerBound)
            encoding.append(id)
            position = range.upperBound
        }
        encoding.append(position..<text.count)
        return encoding.tokens
    }

    /// The text of tokens. Bytes that are not well-formed UTF-8 are replaced by U+FFFD, as `String(decoding:as:)` does
    /// it.
    ///
    /// - Parameters:
    ///   - ids: Any ids, tokens or not.
    ///   - skipSpecial: Whether special tokens, like `<|endoftext|>`, are left out.
    /// - Complexity: Linear in the bytes. An id that no token has stands for no bytes.
    public func decode(_ ids: [TokenID], skipSpecial: Bool = false) -> String {
        String(decoding: decodeBytes(ids, skipSpecial: skipSpecial), as: UTF8.self)
    }

    /// The bytes of tokens, as they are. Otherwise as `decode`.
    public func decodeBytes(_ ids: [TokenID], skipSpecial: Bool = false) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 * ids.count)
        for id in ids where !(skipSpecial && vocabulary.isSpecial(id)) { bytes += vocabulary.bytes(of: id) }
        return bytes
    }

    /// The token that has just these bytes: see `Vocabulary.id(of:)`.
    public func id(of bytes: [UInt8]) -> TokenID? {
        vocabulary.id(of: bytes)
    }
}
