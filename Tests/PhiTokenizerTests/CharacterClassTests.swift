import PhiTokenizer
import Testing

/// Tests of every code point's class against Hugging Face's `tokenizers`.
///
/// The golden tokenizer merges a character of each class with the first byte of any other character. Merges happen only
/// within a pre-token, so the ids reveal the boundaries.
struct CharacterClassTests {
    @Test func everyCodePoint() throws {
        let golden: Goldens.Classes = try Goldens.read("classes.json")
        let model = Goldens.Model(tokens: golden.tokens, merges: golden.merges, added: golden.added)
        let tokenizer = Tokenizer(try model.vocabulary())
        let codes = (UInt32(0)..<0x110000).compactMap(Unicode.Scalar.init)
        #expect(golden.hashes.count == (codes.count + golden.codesPerHash - 1) / golden.codesPerHash)
        for (block, expected) in golden.hashes.enumerated() {
            let start = block * golden.codesPerHash
            var text = ""
            for code in codes[start..<min(start + golden.codesPerHash, codes.count)] {
                for character in ["!", "a", "1", "\t"] as [Unicode.Scalar] {
                    text.unicodeScalars.append(character)
                    text.unicodeScalars.append(code)
                }
                text.unicodeScalars.append("\n")
            }
            #expect(DocumentHash.of([tokenizer.encode(text)]) == expected, "from \(codes[start].value)")
        }
    }
}
