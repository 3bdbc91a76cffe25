import PhiTokenizer
import Testing

/// Tests of equality with Hugging Face's `tokenizers` on two small tokenizers contained in the golden file.
struct SmallTokenizerTests {
    private let file: Goldens.SmallFile

    init() throws {
        file = try Goldens.read("small.json")
    }

    @Test func whiteSpaceTokensLikeCodeGen() throws {
        try check(file.white)
    }

    @Test func addedTokensThatOverlap() throws {
        try check(file.overlapping)
    }

    private func check(_ golden: Goldens.Small) throws {
        let tokenizer = Tokenizer(try golden.model.vocabulary())
        #expect(golden.cases.count > 200)
        for sample in golden.cases {
            #expect(tokenizer.encode(sample.text) == sample.ids, "\(sample.text.debugDescription)")
            #expect(tokenizer.encode(bytes: Array(sample.text.utf8)) == sample.ids, "\(sample.text.debugDescription)")
            #expect(utf8(tokenizer.decode(sample.ids)) == utf8(sample.text))
            if let plain = sample.plain {
                #expect(tokenizer.encode(sample.text, specialTokens: false) == plain)
            }
        }
        for sample in golden.decodes {
            #expect(utf8(tokenizer.decode(sample.ids)) == utf8(sample.text), "\(sample.ids)")
        }
        var documents = RandomDocuments(seed: file.seed)
        for (group, expected) in golden.documents.enumerated() {
            let texts = (0..<golden.documentsPerHash).map { _ in documents.next() }
            let ids = texts.map { tokenizer.encode($0) }
            #expect(DocumentHash.of(ids) == expected, "documents of group \(group)")
            for (text, ids) in zip(texts, ids) { #expect(tokenizer.decodeBytes(ids) == utf8(text)) }
        }
    }
}

/// Returns the UTF-8 bytes of a text for exact comparison; `==` of strings treats canonical equivalents as equal.
func utf8(_ text: String) -> [UInt8] {
    Array(text.utf8)
}
