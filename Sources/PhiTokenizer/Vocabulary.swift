/// The tokens, merges and added tokens of a byte-level BPE: the section `tokenizer` of a `.phi` file.
///
/// Every instance obeys the rules of Formats/phi-file.md, 2.2; initialisers throw otherwise. Copies share storage.
public struct Vocabulary: Sendable, Equatable {
    /// A pair of adjacent tokens and the token that replaces it; its index among the merges is its rank.
    public struct Merge: Sendable, Equatable {
        /// The first token of the pair.
        public let left: TokenID
        /// The second token of the pair.
        public let right: TokenID
        /// The replacement, whose bytes are those of `left` followed by those of `right`.
        public let result: TokenID

        /// Creates the merge of `left` and `right` into `result`.
        public init(left: TokenID, right: TokenID, result: TokenID) {
            self.left = left
            self.right = right
            self.result = result
        }
    }

    /// A token that is matched as a whole in the text before pre-tokenisation.
    public struct AddedToken: Sendable, Equatable {
        /// The token's id.
        public let id: TokenID
        /// Whether it is a special token, like `<|endoftext|>`: a marker rather than text, never printed.
        public let isSpecial: Bool

        /// Whether it is matched in a second pass only, in the text that the tokens of the first pass leave.
        public let isInSecondPass: Bool

        /// Creates an added token.
        public init(id: TokenID, isSpecial: Bool, isInSecondPass: Bool = false) {
            self.id = id
            self.isSpecial = isSpecial
            self.isInSecondPass = isInSecondPass
        }
    }

    /// The concatenated bytes of all tokens.
    public let text: [UInt8]
    /// [count + 1] The offset in `text` of each token's bytes, and finally the end of the last token.
    public let starts: [UInt32]
    /// The merges in rank order.
    public let merges: [Merge]
    /// The added tokens in their original order.
    public let addedTokens: [AddedToken]
    /// The token of bytes that have none of their own; nil if they are left out or do not exist.
    public let unknown: TokenID?
    /// The lookup tables for encoding, derived from the other properties.
    let index: VocabularyIndex

    /// Creates a vocabulary from the bytes of each token.
    ///
    /// - Throws: `TokenizerError` if a rule of Formats/phi-file.md, 2.2, is broken.
    /// - Complexity: Linear in the bytes of all tokens and the number of merges.
    public init(
        tokens: [[UInt8]], merges: [Merge], addedTokens: [AddedToken], unknown: TokenID? = nil
    ) throws(TokenizerError) {
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
        try self.init(text: text, starts: starts, merges: merges, addedTokens: addedTokens, unknown: unknown)
    }

    /// Creates a vocabulary from the fields of a section, and validates them.
    init(
        text: [UInt8], starts: [UInt32], merges: [Merge], addedTokens: [AddedToken], unknown: TokenID?
    ) throws(TokenizerError) {
        self.index = try VocabularyIndex(
            text: text, starts: starts, merges: merges, addedTokens: addedTokens, unknown: unknown)
        self.text = text
        self.starts = starts
        self.merges = merges
        self.addedTokens = addedTokens
        self.unknown = unknown
    }

    /// The number of tokens; their ids are 0 to `count` - 1.
    public var count: Int { starts.count - 1 }

    /// Returns the bytes of a token, empty for an id outside the vocabulary. Constant time.
    public func bytes(of id: TokenID) -> ArraySlice<UInt8> {
        guard id >= 0, Int(id) < count else { return [] }
        return text[Int(starts[Int(id)])..<Int(starts[Int(id) + 1])]
    }

    /// Returns the token with exactly these bytes: an added token if there is one, else the one of the lowest id.
    ///
    /// - Complexity: Linear in `count`; intended for looking up a few tokens by name.
    public func id(of bytes: [UInt8]) -> TokenID? {
        if let added = addedTokens.first(where: { self.bytes(of: $0.id).elementsEqual(bytes) }) { return added.id }
        for token in 0..<count where Int(starts[token + 1] - starts[token]) == bytes.count {
            if self.bytes(of: TokenID(token)).elementsEqual(bytes) { return TokenID(token) }
        }
        return nil
    }

    /// Returns whether the token is a special token. Constant time.
    public func isSpecial(_ id: TokenID) -> Bool {
        index.special.contains(id)
    }

    /// Returns whether both have the same tokens, merges and added tokens in the same order. Linear.
    public static func == (first: Vocabulary, second: Vocabulary) -> Bool {
        first.text == second.text && first.starts == second.starts && first.merges == second.merges
            && first.addedTokens == second.addedTokens && first.unknown == second.unknown
    }
}
