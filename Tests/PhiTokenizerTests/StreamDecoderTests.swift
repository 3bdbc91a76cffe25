import PhiTestSupport
import PhiTokenizer
import Testing

/// Tests that streaming and one-shot decoding return the same text.
struct StreamDecoderTests {
    private let vocabulary: Vocabulary

    init() throws {
        vocabulary = try Sample.small().vocabulary()
    }

    /// Returns a vocabulary with a token for each of `parts`, with ids from 256.
    private func vocabulary(of parts: [[UInt8]]) throws -> Vocabulary {
        var sample = Sample()
        sample.tokens += parts
        return try sample.vocabulary()
    }

    private func stream(_ ids: [TokenID], _ vocabulary: Vocabulary) -> (pieces: [String], text: String) {
        var decoder = StreamDecoder(vocabulary)
        let pieces = ids.map { decoder.push($0) } + [decoder.finish()]
        return (pieces, pieces.joined())
    }

    @Test func holdsBackAnIncompleteSequence() {
        let (pieces, _) = stream([0x61, 0xF0, 0x9F, 0x98, 0x80, 0x62], vocabulary)
        #expect(pieces == ["a", "", "", "", "\u{1F600}", "b", ""])
    }

    @Test func reoffsetsInvalidSequences() {
        #expect(stream([0xE2, 0x82, 0x61], vocabulary).pieces == ["", "", "\u{FFFD}a", ""])
        #expect(stream([0xFF, 0x61], vocabulary).pieces == ["\u{FFFD}", "a", ""])
        #expect(stream([0xE0, 0x80], vocabulary).pieces == ["", "\u{FFFD}\u{FFFD}", ""])
        #expect(stream([0xED, 0xA0], vocabulary).pieces == ["", "\u{FFFD}\u{FFFD}", ""])
        #expect(stream([0xC0, 0xAF], vocabulary).pieces == ["\u{FFFD}", "\u{FFFD}", ""])
        #expect(stream([0xF0, 0x9F], vocabulary).pieces == ["", "", "\u{FFFD}"])
    }

    @Test func everySplitOfMultibyteText() throws {
        let texts: [[UInt8]] = [
            utf8("é€😀"), utf8("日本\u{10FFFF}"), [0x61, 0xC3, 0xC3, 0xA9, 0x80], [0xED, 0xA0, 0x80, 0xE2, 0x82, 0xAC],
            [0xF0, 0x9F, 0x98, 0xF0, 0x9F, 0x98, 0x80], [0xF4, 0x90, 0x80, 0x80, 0xC0, 0xAF], [0xE2, 0x82, 0xF0, 0x61],
        ]
        for text in texts {
            let whole = String(decoding: text, as: UTF8.self)
            for cuts in 0..<1 << (text.count - 1) {
                var parts: [[UInt8]] = [[]]
                for (offset, byte) in text.enumerated() {
                    parts[parts.count - 1].append(byte)
                    if offset < text.count - 1, cuts >> offset & 1 == 1 { parts.append([]) }
                }
                let vocabulary = try vocabulary(of: parts)
                let ids = parts.indices.map { TokenID(256 + $0) }
                #expect(utf8(stream(ids, vocabulary).text) == utf8(whole), "\(parts)")
                #expect(utf8(Tokenizer(vocabulary).decode(ids)) == utf8(whole))
            }
        }
    }

    @Test func anyBytes() {
        var random = SeededRandom(seed: 13)
        let common: [UInt8] = [
            0x61, 0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xF0, 0x9F, 0x98, 0x80, 0xED, 0xA0, 0xF4, 0x8F, 0xBF, 0xE0,
        ]
        for _ in 0..<5000 {
            let bytes = (0..<random.below(12)).map { _ in
                random.below(4) == 0 ? UInt8(random.below(256)) : common[random.below(common.count)]
            }
            let (_, text) = stream(bytes.map(TokenID.init), vocabulary)
            #expect(utf8(text) == utf8(String(decoding: bytes, as: UTF8.self)), "\(bytes)")
        }
    }

    @Test func specialTokensAndReuse() {
        var decoder = StreamDecoder(vocabulary, skipSpecial: true)
        #expect(decoder.push(259) == "")
        #expect(decoder.push(0xC3) == "")
        #expect(decoder.push(259) == "")
        #expect(decoder.push(0xA9) == "é")
        #expect(decoder.push(0xC3) == "")
        #expect(decoder.finish() == "\u{FFFD}")
        #expect(decoder.finish() == "")
        #expect(decoder.push(0x61) == "a")
        var plain = StreamDecoder(vocabulary)
        #expect(plain.push(259) == "<|endoftext|>")
    }
}
