import PhiTestSupport
import PhiTokenizer
import Testing

/// Tests of the section `tokenizer`: round trips, layout and rejection of invalid sections.
struct VocabularySectionTests {
    private let vocabulary: Vocabulary
    private let section: [UInt8]

    init() throws {
        vocabulary = try Sample.small().vocabulary()
        section = vocabulary.section()
    }

    private func read(_ bytes: [UInt8]) throws(TokenizerError) -> Vocabulary {
        let result = bytes.withUnsafeBytes { memory in
            Result { () throws(TokenizerError) in try Vocabulary(section: memory) }
        }
        return try result.get()
    }

    /// Returns the fault of the section after `change`, or nil.
    private func fault(_ change: (inout [UInt8]) -> Void) -> String? {
        var bytes = section
        change(&bytes)
        let changed = bytes
        return PhiTokenizerTests.fault { () throws(TokenizerError) in _ = try read(changed) }
    }

    private func put(_ word: UInt32, _ offset: Int, _ bytes: inout [UInt8]) {
        for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: word >> UInt32(8 * index)) }
    }

    @Test func roundTrip() throws {
        #expect(try read(section) == vocabulary)
        #expect(try read(section).section() == section)
        #expect(try Sample.small().vocabulary().section() == section)
    }

    @Test func roundTripOfVersion2() throws {
        #expect(vocabulary.formatMinorVersion == 1)
        var sample = Sample.small()
        sample.tokens[7] = [1, 2]
        sample.added[1] = .init(id: 260, isSpecial: true, isInSecondPass: true)
        let vocabulary = try Vocabulary(
            tokens: sample.tokens, merges: sample.merges, addedTokens: sample.added, unknown: 6)
        let again = try read(vocabulary.section())
        #expect(again == vocabulary && again.unknown == 6 && again.addedTokens[1].isInSecondPass)
        #expect(vocabulary.formatMinorVersion == 2)
        #expect(try sample.vocabulary().formatMinorVersion == 2)
        #expect(try sample.vocabulary() != vocabulary)
        sample = Sample.small()
        sample.added[1] = .init(id: 260, isSpecial: false, isInSecondPass: true)
        #expect(try sample.vocabulary().formatMinorVersion == 2)
    }

    @Test func layout() {
        // 262 tokens, 3 merges, 3 added tokens, 256 + 2 + 3 + 2 + 13 + 4 + 2 bytes.
        #expect(
            Array(section[..<32]) == [1, 0, 0, 0, 6, 1, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 26, 1]
                + [UInt8](repeating: 0, count: 14))
        #expect(section.count == 32 + 4 * 263 + 12 * 3 + 8 * 3 + 282)
        #expect(Array(section[32 + 4 * 263..<32 + 4 * 263 + 12]) == [0x74, 0, 0, 0, 0x68, 0, 0, 0, 0, 1, 0, 0])
        #expect(Array(section[32 + 4 * 263 + 36..<32 + 4 * 263 + 44]) == [3, 1, 0, 0, 1, 0, 0, 0])
        #expect(section.suffix(6) == [0x20, 0x20, 0x20, 0x20, 0x20, 0x20])
    }

    @Test func unalignedMemory() throws {
        let shifted = [0] + section
        let result = shifted.withUnsafeBytes { memory in
            Result { try Vocabulary(section: UnsafeRawBufferPointer(rebasing: memory[1...])) }
        }
        #expect(try result.get() == vocabulary)
    }

    @Test func truncatedAtEveryLength() {
        for length in 0..<section.count { #expect(fault { $0.removeLast($0.count - length) } != nil) }
        #expect(fault { $0.append(0) } != nil)
        #expect(fault { $0 = [] } == "the tokenizer section has 0 bytes, less than its header")
    }

    @Test func header() {
        #expect(fault { put(2, 0, &$0) } == "unknown tokenizer kind 2, expected 1")
        #expect(fault { $0[24] = 1 } == "the tokenizer's reserved bytes are not zero")
        #expect(fault { $0[20] = 1 } == "there is an unknown token, but every byte has a token")
        #expect(fault { put(263, 20, &$0) } == "the unknown token 262 has an id outside the vocabulary")
        #expect(fault { put(.max, 20, &$0) } == "the unknown token -2 has an id outside the vocabulary")
        #expect(fault { $0[31] = 1 } == "the tokenizer's reserved bytes are not zero")
        for offset in [4, 8, 12, 16] {
            for word in [0, 1, 0x7FFF_FFFF, 0x8000_0000, UInt32.max] {
                #expect(fault { put(word, offset, &$0) }?.contains("bytes, but its counts require") == true)
            }
        }
        #expect(fault { for offset in [4, 8, 12, 16] { put(.max, offset, &$0) } } != nil)
    }

    @Test func starts() {
        #expect(fault { put(1, 32, &$0) } == "the first token does not start at 0")
        #expect(fault { put(9, 32 + 4 * 5, &$0) } == "token 5 ends before it starts")
        #expect(fault { put(.max, 32 + 4 * 5, &$0) } == "token 5 ends before it starts")
        #expect(fault { put(281, 32 + 4 * 262, &$0) } == "the last token ends at byte 281 of 282 bytes of text")
        #expect(fault { put(.max, 32 + 4 * 262, &$0) } == "the last token ends at byte 4294967295 of 282 bytes of text")
    }

    @Test func idsAndFlags() {
        let merges = 32 + 4 * 263
        for word in 0..<9 {
            #expect(fault { put(262, merges + 4 * word, &$0) }?.contains("id outside the vocabulary") == true)
            #expect(fault { put(.max, merges + 4 * word, &$0) }?.contains("id outside the vocabulary") == true)
        }
        #expect(fault { put(262, merges + 36, &$0) } == "added token 262 has an id outside the vocabulary")
        #expect(fault { put(4, merges + 40, &$0) } == "added token 259 has unknown flags 4")
        #expect(fault { put(2, merges + 40, &$0) } == nil)
        #expect(fault { put(260, merges + 36, &$0) } == "token 260 is added twice")
    }

    /// Any altered section is either refused or read as a working vocabulary.
    @Test func alteredBytes() throws {
        var random = SeededRandom(seed: 7)
        var accepted = 0
        for round in 0..<20_000 {
            var bytes = section
            for _ in 0...random.below(3) {
                // Every byte is altered at least once; further rounds choose at random.
                let offset = round < bytes.count ? round : random.below(bytes.count)
                bytes[offset] ^= UInt8(1 + random.below(255))
            }
            guard let altered = try? read(bytes) else { continue }
            accepted += 1
            #expect(altered.section() == bytes)
            let tokenizer = Tokenizer(altered)
            let text = "the thé    <|endoftext|> \u{1F600}"
            let decoded = tokenizer.decodeBytes(tokenizer.encode(text))
            let single = Set((0..<altered.count).map { Array(altered.bytes(of: TokenID($0))) }.filter { $0.count == 1 })
            #expect(single.count < 256 || decoded == utf8(text))
        }
        #expect(accepted > 0)
    }
}
