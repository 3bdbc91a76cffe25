/// A trie over the bytes of the added tokens, for leftmost-longest matching.
struct AddedTokenTrie: Sendable {
    private struct Node {
        /// The token whose bytes end at this node, or -1.
        var id: TokenID = -1
        var isSpecial = false
    }

    /// Node 0 is the root.
    private var nodes = [Node()]
    /// The number of the edge from a node along a byte; edge i leads to node i + 1.
    private var edges: PairTable
    /// [256] The root's child for each byte, or 0; most bytes of a text need no other lookup.
    private var rootChildren = [UInt32](repeating: 0, count: 256)

    /// Creates an empty trie for tokens with `edges` bytes in total.
    init(edges: Int) {
        self.edges = PairTable(capacity: edges)
    }

    /// Whether there are no tokens.
    var isEmpty: Bool { nodes.count == 1 }

    /// Adds a token of at least one byte. Linear in the number of bytes.
    mutating func insert(_ bytes: ArraySlice<UInt8>, _ token: Vocabulary.AddedToken) {
        var node: UInt32 = 0
        for byte in bytes {
            let isNew = edges.insert(node, UInt32(byte))
            let next = edges[node, UInt32(byte)] + 1
            if isNew { nodes.append(Node()) }
            if node == 0 { rootChildren[Int(byte)] = next }
            node = next
        }
        nodes[Int(node)] = Node(id: token.id, isSpecial: token.isSpecial)
    }

    /// Returns the leftmost, and there the longest, match of an added token within `range`.
    ///
    /// Hugging Face's `tokenizers` matches added tokens by the same rule.
    /// - Complexity: O(n m) for n bytes scanned and a longest added token of m bytes.
    func firstMatch(in text: ByteView, _ range: Range<Int>, special: Bool) -> (range: Range<Int>, id: TokenID)? {
        for position in range {
            let child = rootChildren[Int(text[position])]
            let rest = position + 1..<range.upperBound
            if child != 0, let (end, id) = longestMatch(in: text, rest, child: child, special: special) {
                return (position..<end, id)
            }
        }
        return nil
    }

    private func longestMatch(
        in text: ByteView, _ range: Range<Int>, child: UInt32, special: Bool
    ) -> (end: Int, id: TokenID)? {
        var found: (end: Int, id: TokenID)?
        var node = child
        var position = range.lowerBound
        while true {
            let here = nodes[Int(node)]
            if here.id >= 0, special || !here.isSpecial { found = (position, here.id) }
            guard position < range.upperBound else { return found }
            let edge = edges[node, UInt32(text[position])]
            guard edge != PairTable.absent else { return found }
            node = edge + 1
            position += 1
        }
    }
}
