/// A byte-level BPE merger for pre-tokens of any length, in O(n log n): a linked list of tokens and a heap of ranks.
///
/// As in GPT-2's encoder.py, the pair of lowest rank is merged first, the leftmost of equal ranks. Heap entries of
/// pairs that have changed are stale; `merge` recognises them by their rank and skips them. A merge takes one entry out and puts
/// two in at most, so a word of n bytes never has more than 2 n; with the list that is 32 n bytes of memory.
struct LongPreTokenMerger: ~Copyable {
    /// The position before the first token and after the last one.
    private static let none = UInt32.max

    private let ids: ScratchMemory<UInt32>
    /// The rank of the pair that begins at each token, or `absent`; a token merged into the previous one has `absent`.
    private let ranks: ScratchMemory<UInt32>
    private let before: ScratchMemory<UInt32>
    private let after: ScratchMemory<UInt32>
    private var heap = RankHeap()

    /// Allocates memory for one pre-token of `count` bytes.
    init(count: Int) {
        precondition(count < Int(Self.none), "a pre-token of 4 GiB or more")
        heap.reserve(2 * count)
        ids = ScratchMemory(count: count)
        ranks = ScratchMemory(count: count)
        before = ScratchMemory(count: count)
        after = ScratchMemory(count: count)
    }

    /// Appends the tokens of `preToken` to `tokens`.
    consuming func merge(
        _ text: ByteView, _ preToken: Range<Int>, _ vocabulary: Vocabulary, into tokens: inout [TokenID]
    ) {
        guard link(text, preToken, vocabulary.index) else { return }
        while let (rank, position) = heap.pop() {
            // Skip a stale entry: the pair at this position has changed since it was pushed.
            guard ranks[Int(position)] == rank else { continue }
            let right = after[Int(position)]
            let next = after[Int(right)]
            ids[Int(position)] = UInt32(bitPattern: vocabulary.merges[Int(rank)].result)
            ranks[Int(right)] = PairTable.absent
            after[Int(position)] = next
            if next != Self.none { before[Int(next)] = position }
            let previous = before[Int(position)]
            if previous != Self.none { updateRank(previous, vocabulary.index) }
            updateRank(position, vocabulary.index)
        }
        var position: UInt32 = 0
        while position != Self.none {
            tokens.append(TokenID(bitPattern: ids[Int(position)]))
            position = after[Int(position)]
        }
    }

    /// Links the tokens of the bytes that have one; returns whether there are any.
    private mutating func link(_ text: ByteView, _ preToken: Range<Int>, _ index: VocabularyIndex) -> Bool {
        var count = 0
        for position in preToken {
            let id = index.byteTokens[Int(text[position])]
            ids[count] = UInt32(bitPattern: id)
            count += id >= 0 ? 1 : 0
        }
        guard count > 0 else { return false }
        for position in 0..<count {
            before[position] = position > 0 ? UInt32(position - 1) : Self.none
            after[position] = position + 1 < count ? UInt32(position + 1) : Self.none
        }
        ranks[count - 1] = PairTable.absent
        for position in 0..<count - 1 {
            let rank = index.ranks[ids[position], ids[position + 1]]
            ranks[position] = rank
            if rank != PairTable.absent { heap.append(rank, UInt32(position)) }
        }
        heap.heapify()
        return true
    }

    private mutating func updateRank(_ position: UInt32, _ index: VocabularyIndex) {
        let next = after[Int(position)]
        let rank = next == Self.none ? PairTable.absent : index.ranks[ids[Int(position)], ids[Int(next)]]
        ranks[Int(position)] = rank
        if rank != PairTable.absent { heap.push(rank, position) }
    }
}

/// A binary min-heap of positions, ordered by rank, then position.
private struct RankHeap {
    /// Rank above position in one integer, so that one comparison orders two entries.
    private var entries: [UInt64] = []

    private static func entry(_ rank: UInt32, _ position: UInt32) -> UInt64 { UInt64(rank) << 32 | UInt64(position) }

    /// Makes room for so many entries.
    mutating func reserve(_ count: Int) { entries.reserveCapacity(count) }

    /// Adds an entry without restoring the heap order; call `heapify` afterwards.
    mutating func append(_ rank: UInt32, _ position: UInt32) {
        entries.append(Self.entry(rank, position))
    }

    /// Establishes the heap order of the appended entries in linear time.
    mutating func heapify() {
        for position in stride(from: entries.count / 2 - 1, through: 0, by: -1) { siftDown(position) }
    }

    mutating func push(_ rank: UInt32, _ position: UInt32) {
        let entry = Self.entry(rank, position)
        entries.append(entry)
        var child = entries.count - 1
        while child > 0, entries[(child - 1) / 2] > entry {
            entries[child] = entries[(child - 1) / 2]
            child = (child - 1) / 2
        }
        entries[child] = entry
    }

    mutating func pop() -> (rank: UInt32, position: UInt32)? {
        guard let first = entries.first, let last = entries.popLast() else { return nil }
        if !entries.isEmpty {
            entries[0] = last
            siftDown(0)
        }
        return (UInt32(truncatingIfNeeded: first >> 32), UInt32(truncatingIfNeeded: first))
    }

    private mutating func siftDown(_ start: Int) {
        let entry = entries[start]
        var position = start
        while true {
            var child = 2 * position + 1
            guard child < entries.count else { break }
            if child + 1 < entries.count, entries[child + 1] < entries[child] { child += 1 }
            guard entries[child] < entry else { break }
            entries[position] = entries[child]
            position = child
        }
        entries[position] = entry
    }
}
