import PhiTokenizer

/// The bytes of a vocabulary's tokens as a trie, in the order of a depth-first walk.
package struct TokenTrie: Sendable {
    /// [nodes] The byte that leads to each node.
    private var bytes: [UInt8] = []
    /// [nodes] Number of bytes before it.
    private var depths: [Int32] = []
    /// [nodes] The first node that is not below it.
    private var ends: [Int32] = []
    /// [nodes + 1] Where each node's tokens begin in ``tokens``.
    private var starts: [Int32] = []
    private var tokens: [TokenID] = []
    private var longest = 0

    /// Creates the trie of the tokens that are text: not the special ones, which are left out of texts.
    package init(_ vocabulary: Vocabulary) {
        let text = (0..<TokenID(vocabulary.count)).filter {
            !vocabulary.isSpecial($0) && !vocabulary.bytes(of: $0).isEmpty
        }
        // By the first eight bytes as a number, which is quicker, then by all.
        let keyed = text.map { token in
            let bytes = vocabulary.bytes(of: token)
            let prefix = bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return (prefix: prefix << UInt64(8 * (8 - min(8, bytes.count))), token: token)
        }
        let sorted = keyed.sorted { a, b in
            if a.prefix != b.prefix { return a.prefix < b.prefix }
            let (first, second) = (vocabulary.bytes(of: a.token), vocabulary.bytes(of: b.token))
            return first.elementsEqual(second) ? a.token < b.token : first.lexicographicallyPrecedes(second)
        }
        var path: [Int32] = []
        var last: ArraySlice<UInt8> = []
        for (_, token) in sorted {
            let text = vocabulary.bytes(of: token)
            let common = zip(last, text).prefix { $0 == $1 }.count
            close(&path, to: common)
            for byte in text.dropFirst(common) {
                path.append(Int32(bytes.count))
                depths.append(Int32(path.count - 1))
                bytes.append(byte)
                ends.append(0)
                starts.append(Int32(tokens.count))
            }
            longest = max(longest, text.count)
            tokens.append(token)
            last = text
        }
        close(&path, to: 0)
        starts.append(Int32(tokens.count))
    }

    private mutating func close(_ path: inout [Int32], to depth: Int) {
        while path.count > depth { ends[Int(path.removeLast())] = Int32(bytes.count) }
    }

    /// Number of nodes.
    package var count: Int { bytes.count }

    /// Sets the bits of the tokens whose bytes may follow `position` in `mask`, [vocabulary / 64]; returns the number of nodes
    /// visited.
    func allowed(
        after position: Automaton.Position, _ automaton: Automaton, _ stack: inout AutomatonStack,
        in mask: inout [UInt64]
    ) -> Int {
        var positions = [Automaton.Position](repeating: position, count: longest + 1)
        var (node, visited) = (0, 0)
        while node < bytes.count {
            let depth = Int(depths[node])
            visited += 1
            guard let next = automaton.next(positions[depth], bytes[node], &stack) else {
                node = Int(ends[node])
                continue
            }
            positions[depth + 1] = next
            for index in starts[node]..<starts[node + 1] {
                let token = Int(tokens[Int(index)])
                mask[token / 64] |= 1 << UInt64(token % 64)
            }
            node += 1
        }
        return visited
    }
}
