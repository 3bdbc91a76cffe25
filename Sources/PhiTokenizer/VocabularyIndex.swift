/// The lookup tables of a vocabulary for encoding.
///
/// Building them validates the rules of Formats/phi-file.md, 2.2; for example, `ranks` also detects duplicate pairs.
struct VocabularyIndex: Sendable {
    /// [256] The token of each byte value, -1 if it is left out.
    let byteTokens: [TokenID]
    /// The rank of each pair of tokens: its index among the merges.
    let ranks: PairTable
    /// Whether every byte value has a token of its own that is not an added token, as format 1.1 requires.
    let hasAllBytes: Bool
    /// The matcher of added tokens of each pass.
    let added: [AddedTokenTrie]
    /// The ids of the special tokens.
    let special: Set<TokenID>

    init(
        text: [UInt8], starts: [UInt32], merges: [Vocabulary.Merge], addedTokens: [Vocabulary.AddedToken],
        unknown: TokenID?
    ) throws(TokenizerError) {
        try Self.checkStarts(starts, textCount: text.count)
        added = try Self.tries(of: addedTokens, text: text, starts: starts)
        special = Set(addedTokens.lazy.filter(\.isSpecial).map(\.id))
        let ofBytes = Self.byteTokens(text: text, starts: starts, addedTokens: addedTokens)
        hasAllBytes = ofBytes.hasAll
        if let unknown {
            guard unknown >= 0, Int(unknown) < starts.count - 1 else {
                throw TokenizerError(fault: "the unknown token \(unknown) has an id outside the vocabulary")
            }
            guard ofBytes.tokens.contains(-1) else {
                throw TokenizerError(fault: "there is an unknown token, but every byte has a token")
            }
        }
        byteTokens = ofBytes.tokens.map { $0 < 0 ? unknown ?? -1 : $0 }
        ranks = try Self.ranks(of: merges, text: text, starts: starts)
    }

    private static func checkStarts(_ starts: [UInt32], textCount: Int) throws(TokenizerError) {
        guard starts.count - 1 <= Int(TokenID.max) else { throw TokenizerError(fault: "too many tokens") }
        guard starts.first == 0 else { throw TokenizerError(fault: "the first token does not start at 0") }
        var last: UInt32 = 0
        for (token, start) in starts.enumerated() {
            guard start >= last else { throw TokenizerError(fault: "token \(token - 1) ends before it starts") }
            last = start
        }
        guard Int(last) == textCount else {
            throw TokenizerError(fault: "the last token ends at byte \(last) of \(textCount) bytes of text")
        }
    }

    /// The most bytes of an added token, which bound the time of matching, and of all of them, which bound its memory.
    private static let longestAdded = 1024, allAdded = 1 << 20

    /// Returns the matchers of the first pass and, where there is one, of the second.
    private static func tries(
        of addedTokens: [Vocabulary.AddedToken], text: [UInt8], starts: [UInt32]
    ) throws(TokenizerError) -> [AddedTokenTrie] {
        var ids: Set<TokenID> = []
        var edges = [0, 0]
        for token in addedTokens {
            guard token.id >= 0, Int(token.id) < starts.count - 1 else {
                throw TokenizerError(fault: "added token \(token.id) has an id outside the vocabulary")
            }
            guard ids.insert(token.id).inserted else {
                throw TokenizerError(fault: "token \(token.id) is added twice")
            }
            let length = Int(starts[Int(token.id) + 1] - starts[Int(token.id)])
            guard length <= longestAdded else {
                throw TokenizerError(
                    fault: "added token \(token.id) has \(length) bytes, more than \(longestAdded)")
            }
            edges[token.isInSecondPass ? 1 : 0] += length
        }
        guard edges[0] + edges[1] <= allAdded else {
            throw TokenizerError(fault: "the added tokens have \(edges[0] + edges[1]) bytes, more than \(allAdded)")
        }
        var tries = edges.map { AddedTokenTrie(edges: $0) }
        var contents: Set<ArraySlice<UInt8>> = []
        for token in addedTokens {
            let bytes = text[Int(starts[Int(token.id)])..<Int(starts[Int(token.id) + 1])]
            guard !bytes.isEmpty else { throw TokenizerError(fault: "added token \(token.id) is empty") }
            guard contents.insert(bytes).inserted else {
                throw TokenizerError(fault: "added token \(token.id) has the same bytes as another added token")
            }
            tries[token.isInSecondPass ? 1 : 0].insert(bytes, token)
        }
        return tries.filter { !$0.isEmpty }
    }

    /// Returns the token of each byte or -1: the one of lowest id that is not an added token, else the added token.
    private static func byteTokens(
        text: [UInt8], starts: [UInt32], addedTokens: [Vocabulary.AddedToken]
    ) -> (tokens: [TokenID], hasAll: Bool) {
        let added = Set(addedTokens.lazy.map(\.id))
        var tokens = [TokenID](repeating: -1, count: 256), ofAdded = tokens
        for token in 0..<starts.count - 1 where starts[token + 1] - starts[token] == 1 {
            let (id, byte) = (TokenID(token), Int(text[Int(starts[token])]))
            if added.contains(id) { ofAdded[byte] = id } else if tokens[byte] < 0 { tokens[byte] = id }
        }
        let hasAll = !tokens.contains(-1)
        return (zip(tokens, ofAdded).map { $0 < 0 ? $1 : $0 }, hasAll)
    }

    private static func ranks(
        of merges: [Vocabulary.Merge], text: [UInt8], starts: [UInt32]
    ) throws(TokenizerError) -> PairTable {
        guard merges.count < Int(PairTable.absent) else { throw TokenizerError(fault: "too many merges") }
        var ranks = PairTable(capacity: merges.count)
        let tokens = 0..<TokenID(starts.count - 1)
        for (rank, merge) in merges.enumerated() {
            guard tokens.contains(merge.left), tokens.contains(merge.right), tokens.contains(merge.result) else {
                throw TokenizerError(fault: "merge \(rank) has a token id outside the vocabulary")
            }
            guard ranks.insert(UInt32(merge.left), UInt32(merge.right)) else {
                throw TokenizerError(fault: "merge \(rank): duplicate pair \(merge.left) \(merge.right)")
            }
        }
        let invalid = text.withUnsafeBufferPointer { text in
            merges.firstIndex { !isConcatenation($0, ByteView(text), starts) }
        }
        if let rank = invalid {
            throw TokenizerError(fault: "merge \(rank): token \(merges[rank].result) is not its pair concatenated")
        }
        return ranks
    }

    /// Returns whether the bytes of the merge's result are those of its left token followed by its right token.
    @inline(__always)
    private static func isConcatenation(_ merge: Vocabulary.Merge, _ text: ByteView, _ starts: [UInt32]) -> Bool {
        func range(_ id: TokenID) -> Range<Int> { Int(starts[Int(id)])..<Int(starts[Int(id) + 1]) }
        let (left, right, result) = (range(merge.left), range(merge.right), range(merge.result))
        return result.count == left.count + right.count
            && text.bytesMatch(left.count, from: result.lowerBound, and: left.lowerBound)
            && text.bytesMatch(right.count, from: result.lowerBound + left.count, and: right.lowerBound)
    }
}
