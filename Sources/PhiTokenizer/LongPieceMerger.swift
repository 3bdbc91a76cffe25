/// Merges the tokens of a piece of any length, in n log n time: a linked list of tokens and a heap of pairs by rank.
///
/// The rule is that of GPT-2's encoder.py: the lowest rank first, the leftmost of equal ones. A pair that changes is
/// not looked for in the heap; its old entry is recognised by its rank when it comes up, and dropped.
struct LongPieceMerger: ~Copyable {
    /// The number of a place that does not exist: before the first token, after the last one.
    private static let none = UInt32.max

    private let ids: ScratchMemory<UInt32>
    /// The rank of the pair that begins at each token; `absent` also at a token that was merged into the one before.
    private let ranks: ScratchMemory<UInt32>
    private let before: ScratchMemory<UInt32>
    private let after: ScratchMemory<UInt32>
    private var heap = RankHeap()

    /// Memory for one piece of `count` bytes.
    init(count: Int) {
        precondition(count < Int(Self.none), "a piece of 4 GiB")
        ids = ScratchMemory(count: count)
        ranks = ScratchMemory(count: count)
        before = ScratchMemory(count: count)
        after = ScratchMemory(count: count)
    }

    /// Appends the tokens of the piece to `tokens`.
    consuming func merge(
        _ text: ByteView, _ piece: Range<Int>, _ vocabulary: Vocabulary, into tokens: inout [TokenID]
    ) {
        link(text, piece, vocabulary.index)
        while let (rank, place) = heap.pop() {
            // The pair that was pushed is gone if another one, or none, begins here now.
            guard ranks[Int(place)] == rank else { continue }
            let right = after[Int(place)]
            let next = after[Int(right)]
            ids[Int(place)] = UInt32(bitPattern: vocabulary.merges[Int(rank)].result)
            ranks[Int(right)] = PairTable.absent
            after[Int(place)] = next
            if next != Self.none { before[Int(next)] = place }
            let previous = before[Int(place)]
            if previous != Self.none { rankAgain(previous, vocabulary.index) }
            rankAgain(place, vocabulary.index)
        }
        var place: UInt32 = 0
        while place != Self.none {
            tokens.append(TokenID(bitPattern: ids[Int(place)]))
            place = after[Int(place)]
        }
    }

    private mutating func link(_ text: ByteView, _ piece: Range<Int>, _ index: VocabularyIndex) {
        let count = piece.count
        for place in 0..<count {
            ids[place] = UInt32(bitPattern: index.byteTokens[Int(text[piece.lowerBound + place])])
            before[place] = place > 0 ? UInt32(place - 1) : Self.none
            after[place] = place + 1 < count ? UInt32(place + 1) : Self.none
        }
        ranks[count - 1] = PairTable.absent
        for place in 0..<count - 1 {
            let rank = index.ranks[ids[place], ids[place + 1]]
            ranks[place] = rank
            if rank != PairTable.absent { heap.append(rank, UInt32(place)) }
        }
        heap.order()
    }

    private mutating func rankAgain(_ place: UInt32, _ index: VocabularyIndex) {
        let next = after[Int(place)]
        let rank = next == Self.none ? PairTable.absent : index.ranks[ids[Int(place)], ids[Int(next)]]
        ranks[Int(place)] = rank
        if rank != PairTable.absent { heap.push(rank, place) }
    }
}

/// A binary heap of places, lowest rank first, leftmost of equal ranks first.
private struct RankHeap {
    /// Rank and place in one number, so that comparing takes one step.
    private var entries: [UInt64] = []

    private static func entry(_ rank: UInt32, _ place: UInt32) -> UInt64 { UInt64(rank) << 32 | UInt64(place) }

    /// Adds an entry without keeping the order; `order` follows.
    mutating func append(_ rank: UInt32, _ place: UInt32) {
        entries.append(Self.entry(rank, place))
    }

    /// Makes a heap of what was appended, in linear time.
    mutating func order() {
        for place in stride(from: entries.count / 2 - 1, through: 0, by: -1) { sink(place) }
    }

    mutating func push(_ rank: UInt32, _ place: UInt32) {
        let entry = Self.entry(rank, place)
        entries.append(entry)
        var child = entries.count - 1
        while child > 0, entries[(child - 1) / 2] > entry {
            entries[child] = entries[(child - 1) / 2]
            child = (child - 1) / 2
        }
        entries[child] = entry
    }

    mutating func pop() -> (rank: UInt32, place: UInt32)? {
        guard let first = entries.first, let last = entries.popLast() else { return nil }
        if !entries.isEmpty {
            entries[0] = last
            sink(0)
        }
        return (UInt32(truncatingIfNeeded: first >> 32), UInt32(truncatingIfNeeded: first))
    }

    private mutating func sink(_ start: Int) {
        let entry = entries[start]
        var place = start
        while true {
            var child = 2 * place + 1
            guard child < entries.count else { break }
            if child + 1 < entries.count, entries[child + 1] < entries[child] { child += 1 }
            guard entries[child] < entry else { break }
            entries[place] = entries[child]
            place = child
        }
        entries[place] = entry
    }
}
