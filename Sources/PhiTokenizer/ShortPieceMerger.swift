/// Merges the tokens of pieces of up to `limit` bytes: looks through all pairs for the lowest rank, merges, again.
///
/// Quadratic, and for so few bytes faster than anything cleverer: all is in the first-level cache and nothing is
/// linked. The rule is that of GPT-2's encoder.py: the lowest rank first, the leftmost of equal ones.
struct ShortPieceMerger: ~Copyable {
    /// The longest piece, in bytes.
    static let limit = 32

    private let ids = ScratchMemory<UInt32>(count: limit)
    /// The rank of the pair that begins at each token.
    private let ranks = ScratchMemory<UInt32>(count: limit)

    /// Appends the tokens of the piece to `tokens`.
    func merge(_ text: ByteView, _ piece: Range<Int>, _ vocabulary: Vocabulary, into tokens: inout [TokenID]) {
        let index = vocabulary.index
        var count = piece.count
        for place in 0..<count {
            ids[place] = UInt32(bitPattern: index.byteTokens[Int(text[piece.lowerBound + place])])
        }
        for place in 0..<count - 1 { ranks[place] = index.ranks[ids[place], ids[place + 1]] }
        while count > 1 {
            var place = 0
            for other in 1..<count - 1 where ranks[other] < ranks[place] { place = other }
            let rank = ranks[place]
            if rank == PairTable.absent { break }
            ids[place] = UInt32(bitPattern: vocabulary.merges[Int(rank)].result)
            count -= 1
            for later in place + 1..<count {
                ids[later] = ids[later + 1]
                ranks[later - 1] = ranks[later]
            }
            if place > 0 { ranks[place - 1] = index.ranks[ids[place - 1], ids[place]] }
            if place < count - 1 { ranks[place] = index.ranks[ids[place], ids[place + 1]] }
        }
        for place in 0..<count { tokens.append(TokenID(bitPattern: ids[place])) }
    }
}
