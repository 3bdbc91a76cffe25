import PhiTokenizer
import Testing

/// Tests of the rules of Formats/phi-file.md, 2.2, that every vocabulary must obey.
struct VocabularyTests {
    @Test func accessors() throws {
        var sample = Sample.small()
        sample.tokens.append([])
        let vocabulary = try sample.vocabulary()
        #expect(vocabulary.count == 263)
        #expect(Array(vocabulary.bytes(of: 257)) == utf8("the"))
        #expect(vocabulary.bytes(of: 262).isEmpty)
        #expect(vocabulary.bytes(of: 263).isEmpty)
        #expect(vocabulary.bytes(of: -1).isEmpty)
        #expect(vocabulary.isSpecial(259))
        #expect(!vocabulary.isSpecial(260))
        #expect(vocabulary.merges.count == 3)
        #expect(vocabulary.addedTokens.map(\.id) == [259, 260, 261])
    }

    @Test func idOfBytes() throws {
        var sample = Sample.small()
        sample.tokens.append(utf8("the"))
        sample.tokens.append(utf8("  "))
        let tokenizer = Tokenizer(try sample.vocabulary())
        #expect(tokenizer.id(of: utf8("the")) == 257)
        #expect(tokenizer.id(of: utf8("  ")) == 261)
        #expect(tokenizer.id(of: utf8("<|endoftext|>")) == 259)
        #expect(tokenizer.id(of: utf8("nothing")) == nil)
        #expect(tokenizer.id(of: []) == nil)
    }

    @Test func addedTokenPrecedesAnOrdinaryOne() throws {
        var sample = Sample()
        let spaces = sample.merge(0x20, 0x20)
        let added = sample.add("  ")
        let tokenizer = Tokenizer(try sample.vocabulary())
        #expect(tokenizer.id(of: utf8("  ")) == added)
        #expect(tokenizer.encode("  x") == [added, 0x78])
        #expect(tokenizer.decode([spaces, added]) == "    ")
    }

    @Test func aByteHasTheTokenOfLowestID() throws {
        var sample = Sample()
        sample.tokens.append([0x61])
        #expect(Tokenizer(try sample.vocabulary()).encode("a") == [0x61])
        sample.tokens[0x61] = [0x62, 0x62]
        #expect(Tokenizer(try sample.vocabulary()).encode("a") == [256])
    }

    @Test func equality() throws {
        let vocabulary = try Sample.small().vocabulary()
        #expect(try Sample.small().vocabulary() == vocabulary)
        var other = Sample.small()
        other.merges.swapAt(0, 2)
        #expect(try other.vocabulary() != vocabulary)
    }

    @Test(arguments: ["", "b", "bb", String(repeating: "b", count: 17), String(repeating: "b", count: 40)])
    func aByteWithoutTokenIsLeftOut(_ between: String) throws {
        var sample = Sample()
        sample.tokens[0x62] = [1, 2]
        let merged = sample.merge(0x61, 0x63)
        func encode(_ text: String, _ unknown: TokenID? = nil, special: Bool = true) throws -> [TokenID] {
            let vocabulary = try Vocabulary(
                tokens: sample.tokens, merges: sample.merges, addedTokens: sample.added, unknown: unknown)
            return Tokenizer(vocabulary).encode(text, specialTokens: special)
        }
        // What stood on its sides comes together before merging.
        #expect(try encode("a\(between)c") == [merged])
        #expect(try encode(between) == [])
        let unknowns = [TokenID](repeating: 0x3F, count: between.count)
        #expect(try encode(between, 0x3F) == unknowns)
        #expect(try encode("a\(between)c", 0x3F) == (between == "" ? [merged] : [0x61] + unknowns + [0x63]))
        // An added token stands for its byte where no other does.
        let added = sample.add("b", special: true)
        for special in [true, false] {
            #expect(try encode(between, special: special) == unknowns.map { _ in added })
        }
        #expect(throws: TokenizerError(fault: "there is an unknown token, but every byte has a token")) {
            try encode("", 0x3F)
        }
    }

    @Test func anEmptyVocabularyEncodesNothing() throws {
        let tokenizer = Tokenizer(try Vocabulary(tokens: [], merges: [], addedTokens: []))
        #expect(tokenizer.encode("a bc\n") == [])
    }

    @Test func theSecondPassMatchesWhatTheFirstLeaves() throws {
        var sample = Sample()
        let (two, three) = (sample.add("  "), sample.add("   "))
        let hole = sample.add("  <|hole|>", special: true)
        let tokenizer = Tokenizer(try sample.vocabulary())
        #expect(tokenizer.encode("    <|hole|>  ") == [three, 0x20] + utf8("<|hole|>").map(TokenID.init) + [two])
        for index in 0..<2 {
            sample.added[index] = .init(id: sample.added[index].id, isSpecial: false, isInSecondPass: true)
        }
        let passes = Tokenizer(try sample.vocabulary())
        #expect(passes.encode("    <|hole|>  ") == [two, hole, two])
        #expect(passes.encode("     <|hole|>") == [three, hole])
        #expect(passes.encode("  ") == [two])
        #expect(
            passes.encode("    <|hole|>", specialTokens: false)
                == [three, 0x20] + utf8("<|hole|>").map(TokenID.init))
    }

    @Test(
        arguments: [
            (Vocabulary.Merge(left: 0x61, right: 0x62, result: 256), nil),
            (Vocabulary.Merge(left: 0x62, right: 0x61, result: 256), "merge 1: token 256 is not its pair concatenated"),
            (Vocabulary.Merge(left: 0x61, right: 0x61, result: 256), "merge 1: token 256 is not its pair concatenated"),
            (Vocabulary.Merge(left: 0x61, right: 0x62, result: 0x61), "merge 1: token 97 is not its pair concatenated"),
            (Vocabulary.Merge(left: 258, right: 0x62, result: 256), "merge 1 has a token id outside the vocabulary"),
            (Vocabulary.Merge(left: 0x61, right: -1, result: 256), "merge 1 has a token id outside the vocabulary"),
            (Vocabulary.Merge(left: 0x61, right: 0x62, result: .max), "merge 1 has a token id outside the vocabulary"),
            (Vocabulary.Merge(left: 0x63, right: 0x64, result: 257), "merge 1: duplicate pair 99 100"),
        ] as [(Vocabulary.Merge, String?)])
    func merges(_ merge: Vocabulary.Merge, _ expected: String?) {
        var sample = Sample()
        sample.tokens += [utf8("ab"), utf8("cd")]
        sample.merges = [Vocabulary.Merge(left: 0x63, right: 0x64, result: 257), merge]
        #expect(fault { () throws(TokenizerError) in _ = try sample.vocabulary() } == expected)
    }

    @Test func joinedTokensOfAllLengths() throws {
        // Short and long tokens, and tokens at the end of the text, are compared by different code.
        for (left, right) in [(1, 7), (8, 8), (9, 1), (7, 30), (30, 3)] {
            for broken in 0..<left + right {
                var sample = Sample()
                let bytes = (0..<left + right).map { UInt8($0) }
                sample.tokens += [Array(bytes[..<left]), Array(bytes[left...]), bytes]
                sample.merges = [Vocabulary.Merge(left: 256, right: 257, result: 258)]
                #expect(fault { () throws(TokenizerError) in _ = try sample.vocabulary() } == nil)
                sample.tokens[258][broken] ^= 0x80
                #expect(fault { () throws(TokenizerError) in _ = try sample.vocabulary() } != nil)
            }
        }
    }

    @Test func addedTokens() {
        var sample = Sample.small()
        sample.added.append(Vocabulary.AddedToken(id: 400, isSpecial: false))
        #expect(
            fault { () throws(TokenizerError) in _ = try sample.vocabulary() }
                == "added token 400 has an id outside the vocabulary")
        sample.added[3] = Vocabulary.AddedToken(id: 260, isSpecial: true)
        #expect(fault { () throws(TokenizerError) in _ = try sample.vocabulary() } == "token 260 is added twice")
        sample.added.removeLast()
        sample.add("  ")
        #expect(
            fault { () throws(TokenizerError) in _ = try sample.vocabulary() }
                == "added token 262 has the same bytes as another added token")
        sample.tokens[262] = []
        #expect(fault { () throws(TokenizerError) in _ = try sample.vocabulary() } == "added token 262 is empty")
    }

    /// Long added tokens would make encoding slow, and many take memory.
    @Test func addedTokensAreBounded() throws {
        func fault(_ lengths: [Int]) -> String? {
            var sample = Sample()
            for (number, length) in lengths.enumerated() {
                _ = sample.add(String(repeating: "a", count: length - 5) + String(10_000 + number))
            }
            do {
                _ = try sample.vocabulary()
                return nil
            } catch { return "\(error)" }
        }
        #expect(fault([1024]) == nil)
        #expect(fault([1025])?.contains("has 1025 bytes, more than 1024") == true)
        #expect(fault([Int](repeating: 1024, count: 1024)) == nil)
        #expect(fault([Int](repeating: 1024, count: 1025))?.contains("bytes, more than 1048576") == true)
    }
}
