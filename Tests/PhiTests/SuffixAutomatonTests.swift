import Phi
import PhiTestSupport
import PhiTokenizer
import Testing

/// Matches of the automaton against a search of all subsequences.
struct SuffixAutomatonTests {
    static let sequences: [[TokenID]] = [
        [], [5], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [1, 2, 1, 2, 1, 2, 3, 1, 2, 1, 2], Seeded.ids(300, vocabulary: 2),
        Seeded.ids(300, vocabulary: 3), Seeded.ids(400, vocabulary: 20), Seeded.ids(200, vocabulary: 50_000),
        (0..<12).flatMap { Seeded.ids(20, vocabulary: 9) + [TokenID(20 + $0)] },
    ]

    /// The length of the longest suffix of `tokens` that occurs in `text` without its own last place.
    private func longest(_ tokens: ArraySlice<TokenID>, in text: [TokenID]) -> Int {
        var length = 0
        while length < tokens.count {
            let suffix = tokens.suffix(length + 1)
            guard text.indices.contains(where: { text[$0...].starts(with: suffix) }) else { break }
            length += 1
        }
        return length
    }

    @Test(arguments: sequences)
    func theMatchIsTheLongestSuffixThatOccursEarlier(_ sequence: [TokenID]) {
        var automaton = SuffixAutomaton(capacity: 4)
        for (index, token) in sequence.enumerated() {
            automaton.append(token)
            let tokens = sequence[...index]
            let match = automaton.match
            // An occurrence that overlaps the suffix counts, so the last token alone must not.
            #expect(match.length == longest(tokens, in: Array(tokens.dropLast())), "token \(index)")
            if match.length > 0 {
                let before = tokens[(match.next - match.length)..<match.next]
                #expect(match.next <= index && before.elementsEqual(tokens.suffix(match.length)), "token \(index)")
            }
        }
        #expect(automaton.tokens == sequence)
        #expect(automaton.stateCount <= max(2, 2 * sequence.count))
    }

    @Test
    func theLastOccurrenceCounts() {
        var automaton = SuffixAutomaton(capacity: 16)
        for token: TokenID in [7, 8, 1, 7, 8, 2, 7, 8, 3, 7, 8] { automaton.append(token) }
        #expect(automaton.match.length == 2 && automaton.match.next == 8)
    }

    @Test(arguments: sequences)
    func aCorpusKnowsWhatFollowsMostOften(_ sequence: [TokenID]) {
        let corpus = DraftCorpus(sequence)
        #expect(corpus.tokenCount == sequence.count)
        let other = Array(sequence.reversed()) + sequence.prefix(30) + [77_777] + sequence.suffix(20)
        var match = DraftCorpus.Match()
        for (index, token) in other.enumerated() {
            corpus.advance(&match, by: token)
            let length = longest(other[...index], in: sequence)
            #expect(match.length == length, "token \(index)")
            let suffix = other[...index].suffix(length)
            var followers: [TokenID: Int] = [:]
            var occurrences = 0
            for place in 0...sequence.count
            where sequence[place...].starts(with: suffix) && place + length <= sequence.count {
                if length > 0 || place < sequence.count { occurrences += 1 }
                if place + length < sequence.count { followers[sequence[place + length], default: 0] += 1 }
            }
            let next = corpus.likeliest(after: match)
            #expect((next == nil) == followers.isEmpty)
            guard let next else { continue }
            #expect(followers[next.token] == followers.values.max(), "token \(index)")
            #expect(next.share == Double(followers[next.token] ?? 0) / Double(occurrences), "token \(index)")
        }
    }
}
