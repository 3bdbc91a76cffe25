/// The added tokens as a trie over their bytes. Finds the longest that begins at a place in the text.
struct AddedTokenTrie: Sendable {
    private struct Node {
        /// The token whose bytes end here; -1 if none does.
        var id: TokenID = -1
        var isSpecial = false
    }

    /// Node 0 is the root.
    private var nodes = [Node()]
    /// From a node and a byte to the number of the edge that leads down; edge i leads to node i + 1.
    private var edges: PairTable
    /// The node below the root of each byte, 0 for none: nearly every byte of a text is done with here.
    private var first = [UInt32](repeating: 0, count: 256)

    /// An empty trie with room for tokens of `edges` bytes altogether.
    init(edges: Int) {
        self.edges = PairTable(capacity: edges)
    }

    /// Adds a token and says whether it was new. Linear in its bytes, of which there is at least one.
    mutating func insert(_ bytes: ArraySlice<UInt8>, _ token: Vocabulary.AddedToken) -> Bool {
        var node: UInt32 = 0
        for byte in bytes {
            let isNew = edges.insert(node, UInt32(byte))
            let next = edges[node, UInt32(byte)] + 1
            if isNew { nodes.append(Node()) }
            if node == 0 { first[Int(byte)] = next }
            node = next
        }
        guard nodes[Int(node)].id < 0 else { return false }
        nodes[Int(node)] = Node(id: token.id, isSpecial: token.isSpecial)
        return true
    }

    /// The first place from `start` on where an added token begins, and the longest of those that begin there.
    ///
    /// As Hugging Face's tokenizers finds them: leftmost, then longest.
    /// - Complexity: Linear in the text passed over times, at worst, the length of the longest added token.
    func next(in text: ByteView, from start: Int, special: Bool) -> (range: Range<Int>, id: TokenID)? {
        var position = start
        while position < text.count {
            let below = first[Int(text[position])]
            if below != 0, let (end, id) = longest(in: text, from: position + 1, below: below, special: special) {
                return (position..<end, id)
            }
            position += 1
        }
        return nil
    }

    private func longest(
        in text: ByteView, from start: Int, below: UInt32, special: Bool
    ) -> (end: Int, id: TokenID)? {
        var found: (end: Int, id: TokenID)?
        var node = below
        var position = start
        while true {
            let here = nodes[Int(node)]
            if here.id >= 0, special || !here.isSpecial { found = (position, here.id) }
            guard position < text.count else { return found }
            let edge = edges[node, UInt32(text[position])]
            guard edge != PairTable.absent else { return found }
            node = edge + 1
            position += 1
        }
    }
}
