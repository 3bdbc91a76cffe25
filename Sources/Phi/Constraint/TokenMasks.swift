import PhiTokenizer
import Synchronization

/// The tokens that may follow in each position of an automaton, computed when they are first asked for and kept. Any thread may
/// use it.
package final class TokenMasks: Sendable {
    package let automaton: Automaton
    private let trie: TokenTrie
    private let vocabulary: Int
    private let known = Mutex(Known())

    /// A position by its contents.
    private struct Key: Hashable {
        let state: Int32
        let stack: [Int32]
    }

    private struct Known {
        var masks: [Key: [UInt64]] = [:]
        var visited = 0
    }

    /// The most masks that are kept; then all are computed anew.
    package static let limit = 512

    package init(_ automaton: Automaton, _ trie: TokenTrie, vocabulary: Int) {
        (self.automaton, self.trie, self.vocabulary) = (automaton, trie, vocabulary)
    }

    /// Returns the bits, [vocabulary / 64], of the tokens that may follow in `position` of `stack`.
    package func mask(_ position: Automaton.Position, _ stack: AutomatonStack) -> [UInt64] {
        let key = Key(state: position.state, stack: stack.states(position.top))
        return known.withLock { known in
            if let mask = known.masks[key] { return mask }
            var stack = stack
            var bits = [UInt64](repeating: 0, count: (vocabulary + 63) / 64)
            known.visited += trie.allowed(after: position, automaton, &stack, in: &bits)
            if known.masks.count == Self.limit { known.masks.removeAll() }
            known.masks[key] = bits
            return bits
        }
    }

    /// Nodes of the vocabulary's trie that were visited, and masks that are kept.
    package var counts: (visited: Int, masks: Int) { known.withLock { ($0.visited, $0.masks.count) } }

    /// The most bytes of memory that it takes.
    var bytes: Int { automaton.bytes + Self.limit * (vocabulary / 8 + 256) }
}
