/// The tokens of a byte-level BPE, the merges that make them and the tokens that are looked for in the text itself.
///
/// What a `.phi` file's section `tokenizer` holds (Formats/phi-file.md, 2.2). Every vocabulary obeys that page's rules:
/// one that breaks them cannot be made. Copying one costs nothing.
public struct Vocabulary: Sendable, Equatable {
    /// Two tokens that become one. Merges are applied in the order they stand in, the first of them first.
    public struct Merge: Sendable, Equatable {
        /// The token before.
        public let left: TokenID
        /// The token after.
        public let right: TokenID
        /// What replaces them; its bytes are those of both.
        public let result: TokenID

        /// Makes the merge of `left` and `right` into `result`.
        public init(left: TokenID, right: TokenID, result: TokenID) {
            self.left = left
            self.right = right
            self.result = result
        }
    }

    /// A token that is found in the text before the text is split, as a whole.
    public struct AddedToken: Sendable, Equatable {
        /// The token.
        public let id: TokenID
        /// Whether it stands for something that is no text, like `<|endoftext|>`, and so is never printed.
        public let isSpecial: Bool

        /// Makes an added token.
        public init(id: TokenID, isSpecial: Bool) {
            self.id = id
            self.isSpecial = isSpecial
        }
    }

    /// The bytes of all tokens, one after the other.
    public let text: [UInt8]
    /// Where in `text` each token's bytes start, and at last where the last ones end: `count` + 1 entries.
    public let starts: [UInt32]
    /// The merges, first to be applied first.
    public let merges: [Merge]
    /// The added tokens, in the order they were given in.
    public let addedTokens: [AddedToken]
    /// What encoding looks things up in; it follows from the rest.
    let index: VocabularyIndex

    /// Makes a vocabulary of tokens given by their bytes.
    ///
    /// - Throws: `TokenizerError` if a rule of Formats/phi-file.md, 2.2, is broken.
    /// - Complexity: Linear in the bytes of all tokens and the number of merges.
    public init(tokens: [[UInt8]], merges: [Merge], addedTokens: [AddedToken]) throws(TokenizerError) {
        var text: [UInt8] = []
        var starts: [UInt32] = [0]
        starts.reserveCapacity(tokens.count + 1)
        for token in tokens {
            text += token
            guard let end = UInt32(exactly: text.count) else {
                throw TokenizerError(fault: "the tokens have more than \(UInt32.max) bytes")
            }
            starts.append(end)
        }
        try self.init(text: text, starts: starts, merges: merges, addedTokens: addedTokens)
    }

    /// Makes a vocabulary of its parts as a section holds them, and checks all of them.
    init(
        text: [UInt8], starts: [UInt32], merges: [Merge], addedTokens: [AddedToken]
    ) throws(TokenizerError) {
        self.index = try VocabularyIndex(text: text, starts: starts, merges: merges, addedTokens: addedTokens)
        self.text = text
        self.starts = starts
        self.merges = merges
        self.addedTokens = addedTokens
    }

    /// The number of tokens. Their ids are 0 to `count` - 1.
    public var count: Int { starts.count - 1 }

    /// The bytes of a token; none for an id that no token has. Constant time.
    public func bytes(of id: TokenID) -> ArraySlice<UInt8> {
        guard id >= 0, Int(id) < count else { return [] }
        return text[Int(starts[Int(id)])..<Int(starts[Int(id) + 1])]
    }

    /// The token that has just these bytes: an added one if there is, else the one of the lowest id.
    ///
    /// - Complexity: Linear in `count`; meant for looking up a few tokens by name.
    public func id(of bytes: [UInt8]) -> TokenID? {
        if let added = addedTokens.first(where: { self.bytes(of: $0.id).elementsEqual(bytes) }) { return added.id }
        for token in 0..<count where Int(starts[token + 1] - starts[token]) == bytes.count {
            if self.bytes(of: TokenID(token)).elementsEqual(bytes) { return TokenID(token) }
        }
        return nil
    }

    /// Whether the token is an added one that is never printed. Constant time.
    public func isSpecial(_ id: TokenID) -> Bool {
        index.special.contains(id)
    }

    /// Whether both have the same tokens, merges and added tokens, in the same order. Linear.
    public static func == (first: Vocabulary, second: Vocabulary) -> Bool {
        first.text == second.text && first.starts == second.starts && first.merges == second.merges
            && first.addedTokens == second.addedTokens
    }
}
