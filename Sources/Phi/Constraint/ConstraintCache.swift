import PhiTokenizer
import Synchronization

/// The constraints that a model was last used with, matched with its tokens.
package final class ConstraintCache: Sendable {
    private struct Contents {
        var trie: TokenTrie?
        var recent: [(source: Constraint.Source, masks: TokenMasks)] = []
        var bytes: Int { recent.reduce(0) { $0 + $1.masks.bytes } }
    }

    private let contents = Mutex(Contents())

    /// Bytes that all may take, the one used last aside.
    package static let limit = 1 << 26

    /// Bytes that all may take.
    package var bytes: Int { contents.withLock { $0.bytes } }

    /// Returns the masks of a constraint, which all its completions share.
    package func masks(of constraint: Constraint, _ vocabulary: Vocabulary) -> TokenMasks {
        contents.withLock { contents in
            let index = contents.recent.firstIndex { $0.source == constraint.source }
            let trie = contents.trie ?? TokenTrie(vocabulary)
            contents.trie = trie
            let masks =
                index.map { contents.recent.remove(at: $0).masks }
                ?? TokenMasks(constraint.automaton, trie, vocabulary: vocabulary.count)
            contents.recent.append((constraint.source, masks))
            while contents.recent.count > 1, contents.bytes > Self.limit {
                contents.recent.removeFirst()
            }
            return masks
        }
    }
}
