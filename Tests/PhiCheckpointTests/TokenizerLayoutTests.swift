import Foundation
import PhiCheckpoint
import PhiTestSupport
import PhiTokenizer
import Testing

/// Layouts of a tokenizer's files against Hugging Face's `AutoTokenizer`: `Tools/golden/tokenizer_layouts.py`.
struct TokenizerLayoutTests {
    private struct Goldens: Decodable {
        let parts: [String: String]
        let texts: [String]
        let layouts: [Layout]
    }

    private struct Layout: Decodable {
        let files: [String: String]
        let ids: [[TokenID]]?
        let decoded: [String: String]?
        let special: [TokenID]?
        let count: Int?
        let refused: String?
    }

    private static func goldens() throws -> Goldens {
        try JSONDecoder().decode(Goldens.self, from: Data(readFile(fixture("tokenizer-layouts.json"))))
    }

    private static func write(_ layout: Layout, _ parts: [String: String], to folder: TemporaryFolder) throws {
        for (name, text) in layout.files {
            var pieces = text.split(separator: "@", omittingEmptySubsequences: false).map(String.init)
            for index in pieces.indices { pieces[index] = parts[pieces[index]] ?? pieces[index] }
            try folder.write(name, pieces.joined())
        }
    }

    @Test func areReadAsByHuggingFace() throws {
        let goldens = try Self.goldens()
        var read = 0
        for (number, layout) in goldens.layouts.enumerated() {
            let folder = try TemporaryFolder()
            try Self.write(layout, goldens.parts, to: folder)
            var files: TokenizerFiles?
            let fault = PhiTestSupport.fault { files = try TokenizerFiles(directory: folder.path) }
            if let refused = layout.refused {
                #expect(fault.contains(refused), "layout \(number): '\(fault)', not '\(refused)'")
                continue
            }
            guard let vocabulary = files?.vocabulary else {
                Issue.record("layout \(number) is refused: \(fault)")
                continue
            }
            read += 1
            let tokenizer = Tokenizer(vocabulary)
            #expect(vocabulary.count == layout.count, "layout \(number)")
            #expect(
                vocabulary.addedTokens.filter(\.isSpecial).map(\.id) == layout.special, "layout \(number): special")
            for (index, text) in goldens.texts.enumerated() {
                let ids = tokenizer.encode(text)
                #expect(ids == layout.ids?[index], "layout \(number): \(text.debugDescription)")
                #expect(
                    tokenizer.decode(ids, skipSpecial: true) == layout.decoded?[String(index)] ?? text,
                    "layout \(number): \(text.debugDescription)")
            }
        }
        #expect(read >= 500)
    }
}
