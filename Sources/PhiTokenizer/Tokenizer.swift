/// The byte-level BPE tokenizer of GPT-2 and CodeGen.
///
///     let tokenizer = Tokenizer(vocabulary)
///     let ids = tokenizer.encode("def print_prime(n):")
///     let text = tokenizer.decode(ids)
///
/// It returns the same ids as Hugging Face's `tokenizers` for any text. It is immutable and may be shared by threads.
public struct Tokenizer: Sendable {
    /// The tokens, merges and added tokens.
    public let vocabulary: Vocabulary

    /// Creates a tokenizer. Constant time: the vocabulary already contains the lookup tables.
    public init(_ vocabulary: Vocabulary) {
        self.vocabulary = vocabulary
    }

    /// Encodes a text as token ids.
    ///
    /// Added tokens are matched first. The text between them is pre-tokenised by GPT-2's pattern, and the byte tokens
    /// of each pre-token are merged, lowest rank first (GPT-2's encoder.py; Formats/phi-file.md, 2.2). A byte without a
    /// token becomes the vocabulary's unknown token or is left out. No token is added at the beginning or the end.
    ///
    /// - Parameters:
    ///   - text: Any text.
    ///   - specialTokens: Whether to recognise special tokens, like `<|endoftext|>`, in the text. Pass false for
    ///     untrusted text, which is then encoded as plain characters. Other added tokens are always recognised.
    /// - Complexity: Linear, except for pre-tokens above 32 bytes: O(n log n) in their length.
    public func encode(_ text: String, specialTokens: Bool = true) -> [TokenID] {
        var text = text
        return text.withUTF8 { encode(ByteView($0), specialTokens: specialTokens) }
    }

    /// Encodes bytes that may not be well-formed UTF-8.
    ///
    /// A byte outside well-formed UTF-8 counts as a character that is neither letter, number nor white space.
    /// `decodeBytes` restores any input exactly if every byte has a token.
    public func encode(bytes: [UInt8], specialTokens: Bool = true) -> [TokenID] {
        bytes.withUnsafeBufferPointer { encode(ByteView($0), specialTokens: specialTokens) }
    }

    private func encode(_ text: ByteView, specialTokens: Bool) -> [TokenID] {
        var encoding = Encoding(text, vocabulary, specialTokens: specialTokens)
        encoding.append(0..<text.count, pass: 0)
        return encoding.tokens
    }

    /// Decodes tokens as text. Ill-formed UTF-8 becomes U+FFFD, as in `String(decoding:as:)`.
    ///
    /// - Parameters:
    ///   - ids: Token ids; ids outside the vocabulary are ignored.
    ///   - skipSpecial: Whether to omit special tokens, like `<|endoftext|>`.
    /// - Complexity: Linear in the number of bytes.
    public func decode(_ ids: [TokenID], skipSpecial: Bool = false) -> String {
        String(decoding: decodeBytes(ids, skipSpecial: skipSpecial), as: UTF8.self)
    }

    /// Decodes tokens as bytes, without replacing ill-formed UTF-8; otherwise like `decode`.
    public func decodeBytes(_ ids: [TokenID], skipSpecial: Bool = false) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 * ids.count)
        for id in ids where !(skipSpecial && vocabulary.isSpecial(id)) { bytes += vocabulary.bytes(of: id) }
        return bytes
    }

    /// Returns the token with exactly these bytes; see `Vocabulary.id(of:)`.
    public func id(of bytes: [UInt8]) -> TokenID? {
        vocabulary.id(of: bytes)
    }
}
