/// A byte-level BPE merger for pre-tokens of up to `limit` bytes, which scans all pairs for the lowest rank.
///
/// Quadratic, but at this length faster than a heap: all data are in the L1 cache and nothing is linked. As in GPT-2's
/// encoder.py, the pair of lowest rank is merged first, the leftmost of equal ranks.
struct ShortPreTokenMerger: ~Copyable {
    /// The longest pre-token, in bytes.
    static let limit = 32

    private let ids = ScratchMemory<UInt32>(count: limit)
    /// The rank of the pair that begins at each token.
    private let ranks = ScratchMemory<UInt32>(count: limit)

    /// Appends the tokens of `preToken` to `tokens`.
    func merge(_ text: ByteView, _ preToken: Range<Int>, _ vocabulary: Vocabulary, into tokens: inout [TokenID]) {
        let index = vocabulary.index
        var count = 0
        for position in preToken {
            let id = index.byteTokens[Int(text[position])]
            ids[count] = UInt32(bitPattern: id)
            count += id >= 0 ? 1 : 0
        }
        guard count > 0 else { return }
        for position in 0..<count - 1 { ranks[position] = index.ranks[ids[position], ids[position + 1]] }
        while count > 1 {
            var position = 0
            for other in 1..<count - 1 where ranks[other] < ranks[position] { position = other }
            let rank = ranks[position]
            if rank == PairTable.absent { break }
            ids[position] = UInt32(bitPattern: vocabulary.merges[Int(rank)].result)
            count -= 1
            for later in position + 1..<count {
                ids[later] = ids[later + 1]
                ranks[later - 1] = ranks[later]
            }
            if position > 0 { ranks[position - 1] = index.ranks[ids[position - 1], ids[position]] }
            if position < count - 1 { ranks[position] = index.ranks[ids[position], ids[position + 1]] }
        }
        for position in 0..<count { tokens.append(TokenID(bitPattern: ids[position])) }
    }
}
