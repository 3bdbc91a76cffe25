import PhiTestSupport
import PhiTokenizer
import Testing

/// Tests of merging against a plain reference, and of long texts that would expose quadratic time.
struct EncodingTests {
    /// Merges the adjacent pair of lowest rank, the leftmost of equal ranks, until no pair has a merge.
    private func merged(_ preToken: [UInt8], _ merges: [Vocabulary.Merge]) -> [TokenID] {
        var ids = preToken.map(TokenID.init)
        while true {
            var best: (rank: Int, position: Int)?
            for position in ids.indices.dropLast() {
                let rank = merges.firstIndex { $0.left == ids[position] && $0.right == ids[position + 1] }
                if let rank, best.map({ rank < $0.rank }) ?? true { best = (rank, position) }
            }
            guard let best else { return ids }
            ids.replaceSubrange(best.position...best.position + 1, with: [merges[best.rank].result])
        }
    }

    @Test func mergesByRankThenPosition() throws {
        var random = SeededRandom(seed: 11)
        for _ in 0..<200 {
            var sample = Sample()
            var known: [TokenID] = [0x61, 0x62]
            for _ in 0..<1 + random.below(8) {
                let (left, right) = (known[random.below(known.count)], known[random.below(known.count)])
                if !sample.merges.contains(where: { $0.left == left && $0.right == right }) {
                    known.append(sample.merge(left, right))
                }
            }
            let tokenizer = Tokenizer(try sample.vocabulary())
            // Pre-tokens of up to 15 bytes are cached, up to 32 merged by scanning, longer ones by a heap.
            for length in [1, 2, 3, 8, 15, 16, 31, 32, 33, 34, 64, 100] {
                let preToken = (0..<length).map { _ in UInt8(0x61 + random.below(random.below(2) + 1)) }
                #expect(tokenizer.encode(bytes: preToken) == merged(preToken, sample.merges))
            }
        }
    }

    @Test func repeatedPreTokens() throws {
        // The same few pre-tokens repeatedly, so that lookups hit the cache; long enough for a large one.
        let tokenizer = Tokenizer(try Sample.small().vocabulary())
        let ids = tokenizer.encode(" the th thé the")
        #expect(
            tokenizer.encode(String(repeating: " the th thé the", count: 5000)) == (0..<5000).flatMap { _ in ids })
    }

    @Test func specialTokensOnlyOnRequest() throws {
        let tokenizer = Tokenizer(try Sample.small().vocabulary())
        #expect(tokenizer.encode("<|endoftext|>  the") == [259, 261, 257])
        #expect(
            tokenizer.encode("<|endoftext|>  the", specialTokens: false) == utf8("<|endoftext|>").map(TokenID.init) + [
                261, 257,
            ])
        #expect(tokenizer.decode([257, 259, 257]) == "the<|endoftext|>the")
        #expect(tokenizer.decode([257, 259, 257], skipSpecial: true) == "thethe")
    }

    @Test func invalidUTF8IsNeitherLetterNorNumberNorSpace() throws {
        // Merges across character classes reveal the pre-token boundaries.
        var sample = Sample()
        let other = sample.merge(0x21, 0xFF)
        sample.merge(0x61, 0xFF)
        sample.merge(0x31, 0xFF)
        sample.merge(0x0A, 0xFF)
        let spaced = sample.merge(0x20, 0xFF)
        let lead = sample.merge(0xFF, 0xC3)
        sample.merge(0xC3, 0x61)
        let tokenizer = Tokenizer(try sample.vocabulary())
        #expect(tokenizer.encode(bytes: [0x61, 0xFF]) == [0x61, 0xFF])
        #expect(tokenizer.encode(bytes: [0x31, 0xFF]) == [0x31, 0xFF])
        #expect(tokenizer.encode(bytes: [0x0A, 0xFF]) == [0x0A, 0xFF])
        #expect(tokenizer.encode(bytes: [0x21, 0xFF]) == [other])
        #expect(tokenizer.encode(bytes: [0x20, 0xFF]) == [spaced])
        // A lead byte without its second byte is a character of its own; U+00E9 is a letter, so a new pre-token.
        #expect(tokenizer.encode(bytes: [0xFF, 0xC3, 0x61]) == [lead, 0x61])
        #expect(tokenizer.encode(bytes: [0xFF, 0xC3, 0xA9]) == [0xFF, 0xC3, 0xA9])
        #expect(tokenizer.encode(bytes: [0xFF, 0xC3]) == [lead])
    }

    @Test func anyBytesRoundTrip() throws {
        let tokenizer = Tokenizer(try Sample.small().vocabulary())
        var random = SeededRandom(seed: 3)
        for _ in 0..<2000 {
            let bytes = (0..<random.below(80)).map { _ in
                random.below(2) == 0 ? UInt8(random.below(256)) : [0x20, 0xC3, 0xA9, 0x74, 0xE2, 0x80][random.below(6)]
            }
            #expect(tokenizer.decodeBytes(tokenizer.encode(bytes: bytes)) == bytes)
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(utf8(tokenizer.decode(tokenizer.encode(bytes: bytes))) == utf8(text))
        }
    }

    @Test func emptyAndUnknown() throws {
        let tokenizer = Tokenizer(try Sample.small().vocabulary())
        #expect(tokenizer.encode("").isEmpty)
        #expect(tokenizer.encode(bytes: []).isEmpty)
        #expect(tokenizer.decode([]).isEmpty)
        #expect(tokenizer.decode([-1, 0x61, 9999]) == "a")
    }

    /// A megabyte each, mostly a single pre-token: hours if merging were quadratic.
    @Test(.timeLimit(.minutes(1)))
    func longPreTokens() throws {
        var sample = Sample.small()
        var run: TokenID = 0x61
        for _ in 0..<6 { run = sample.merge(run, run) }
        for left in 0..<26 as Range<TokenID> {
            for right in 0..<26 as Range<TokenID> where (left, right) != (0, 0) {
                sample.merge(0x61 + left, 0x61 + right)
            }
        }
        sample.merges.removeAll { $0.left == 0x74 && $0.right == 0x68 && $0.result != 256 }
        let tokenizer = Tokenizer(try sample.vocabulary())
        var random = SeededRandom(seed: 5)
        let count = 1_000_000
        let texts: [[UInt8]] = [
            [UInt8](repeating: 0x61, count: count), [UInt8](repeating: 0x20, count: count),
            [UInt8](repeating: 0x0A, count: count), [UInt8](repeating: 0xFF, count: count),
            [UInt8](repeating: 0x3C, count: count), (0..<count).map { _ in UInt8(0x61 + random.below(26)) },
            (0..<count).map { _ in UInt8(0x30 + random.below(10)) }, (0..<count).map { _ in UInt8(random.below(256)) },
        ]
        for text in texts { #expect(tokenizer.decodeBytes(tokenizer.encode(bytes: text)) == text) }
        #expect(tokenizer.encode(bytes: texts[0]) == [TokenID](repeating: run, count: count / 64))
    }
}
