import PhiTokenizer

/// A text from which drafts are taken, for example the code of a project: what most often follows there is proposed. Any number
/// of sessions may share one.
///
/// ```swift
/// let corpus = DraftCorpus(model.tokenizer.encode(code, specialTokens: false))
/// let session = try Session(model, speculation: Speculation(corpus: corpus))
/// ```
///
/// Memory: up to 130 bytes for each token, of which there may be 4 million.
public final class DraftCorpus: Sendable {
    private let automaton: SuffixAutomaton
    /// Number of occurrences of each state's subsequences.
    private let counts: [Int32]
    /// The state that most often follows each state, -1 if none does, and the token that leads there.
    private let likeliest: [(target: Int32, token: TokenID)]

    /// The most tokens of a corpus.
    public static let mostTokens = 1 << 22

    /// Creates a corpus of the first ``mostTokens`` of `tokens`. Complexity: about two microseconds for each.
    public init(_ tokens: [TokenID]) {
        let tokens = tokens.prefix(Self.mostTokens)
        var automaton = SuffixAutomaton(capacity: tokens.count)
        for token in tokens { automaton.append(token) }
        let counts = automaton.occurrences()
        likeliest = (0..<automaton.stateCount).map { state in
            var best: (target: Int32, token: TokenID) = (-1, 0)
            automaton.forEachEdge(from: state) { token, target in
                let count = counts[target], most = best.target < 0 ? 0 : counts[Int(best.target)]
                if count > most || (count == most && token < best.token) { best = (Int32(target), token) }
            }
            return best
        }
        self.automaton = automaton
        self.counts = counts
    }

    /// Number of its tokens.
    public var tokenCount: Int { automaton.tokens.count }

    /// The longest suffix of a sequence that occurs in the corpus.
    package struct Match {
        fileprivate var state = 0
        /// Number of its tokens.
        package fileprivate(set) var length = 0

        /// The match of the empty sequence.
        package init() {}

        fileprivate init(state: Int, length: Int) { (self.state, self.length) = (state, length) }
    }

    /// Updates the match of a sequence to which `token` was appended. Complexity: amortised constant.
    package func advance(_ match: inout Match, by token: TokenID) {
        while true {
            if let target = automaton.target(from: match.state, token) {
                match.state = target
                match.length += 1
                return
            }
            guard let (state, length) = automaton.suffix(of: match.state) else {
                match.length = 0
                return
            }
            (match.state, match.length) = (state, length)
        }
    }

    /// Returns the token that most often follows `match`, the share of its occurrences that it follows, and the match that
    /// includes it. Returns nil at the end of the corpus.
    package func likeliest(after match: Match) -> (token: TokenID, share: Double, match: Match)? {
        let (target, token) = likeliest[match.state]
        guard target >= 0 else { return nil }
        let share = Double(counts[Int(target)]) / Double(max(1, counts[match.state]))
        return (token, share, Match(state: Int(target), length: match.length + 1))
    }
}
