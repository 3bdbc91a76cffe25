import Foundation
import Phi
import PhiCheckpoint
import PhiFormat
import PhiTestSupport
import PhiTokenizer
import Testing

/// Ends of text against Hugging Face's, and where no file names any.
struct EndsOfTextTests {
    private struct Goldens: Decodable {
        let cases: [Case]
    }

    /// A layout of Tools/golden/ends_of_text.py.
    private struct Case: Decodable {
        /// The text of generation_config.json; nil if there is none.
        let generation: String?
        /// The value in config.json as JSON; nil if there is none.
        let ofConfig: String?
        /// Nil if Hugging Face has none.
        let ends: [TokenID]?

        private enum CodingKeys: String, CodingKey {
            case generation = "generation_config.json"
            case ofConfig = "eos_token_id"
            case ends
        }
    }

    private func find(_ files: [String: String], named: [String] = [], tokens: Int = 300) throws -> EndsOfText {
        let folder = try TemporaryFolder()
        for (name, text) in files { try folder.write(name, text) }
        return try EndsOfText(directory: folder.path, TinyTokenizer.vocabulary(tokens: tokens), named: named)
    }

    @Test func endsAreThoseOfHuggingFace() throws {
        let goldens = try JSONDecoder().decode(Goldens.self, from: Data(readFile(fixture("ends-of-text.json"))))
        #expect(goldens.cases.count == 24)
        for layout in goldens.cases {
            var files = ["config.json": "{" + (layout.ofConfig.map { #""eos_token_id": "# + $0 } ?? "") + "}"]
            files["generation_config.json"] = layout.generation
            let found = try find(files)
            // Where generate would never end by itself, the next place that names an end is taken.
            let others = try layout.ofConfig.map {
                try JSONDecoder().decode(Keys.self, from: Data(#"{"ids": \#($0)}"#.utf8))
            }
            #expect(found.bounds.ends == layout.ends ?? others?.ids ?? [256], "\(layout)")
            #expect(found.bounds.start == 256)
            #expect(found.files.map(\.name) == (layout.generation == nil ? [] : ["generation_config.json"]))
        }
    }

    private struct Keys: Decodable {
        let ids: [TokenID]?
        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Key.self)
            ids =
                (try? container.decode([TokenID].self, forKey: .ids))
                ?? (try? container.decode(TokenID.self, forKey: .ids)).map { [$0] }
        }
        private enum Key: String, CodingKey { case ids }
    }

    static let others: [(files: [String: String], named: [String], ends: [TokenID], source: String)] = [
        (["tokenizer_config.json": #"{"eos_token": "e"}"#], [], [68], "tokenizer_config.json"),
        (
            ["tokenizer_config.json": #"{"eos_token": {"content": "e", "lstrip": false}}"#], [], [68],
            "tokenizer_config.json"
        ),
        (
            ["tokenizer_config.json": #"{"eos_token": "e"}"#, "config.json": #"{"eos_token_id": 7}"#], [], [7],
            "config.json"
        ),
        (["special_tokens_map.json": #"{"eos_token": "e"}"#], [], [68], "special_tokens_map.json"),
        (["tokenizer_config.json": #"{"eos_token": "no such"}"#], [], [256], "the tokenizer"),
        // Ids that are no tokens cannot be generated.
        (["config.json": #"{"eos_token_id": [-1, 300, 7, 4294967296]}"#], [], [7], "config.json"),
        (["config.json": #"{"eos_token_id": 300}"#], [], [256], "the tokenizer"),
        (["generation_config.json": #"{"eos_token_id": [9, 3, 9]}"#], [], [9, 3], "generation_config.json"),
        (["generation_config.json": #"{"eos_token_id": 9}"#], ["<|endoftext|>", "7"], [256, 7], "--eos"),
        ([:], ["7", "e", "7"], [7, 68], "--eos"),
    ]

    @Test(arguments: others)
    func otherPlacesNameEnds(
        _ files: [String: String], _ named: [String], _ ends: [TokenID], _ source: String
    ) throws {
        let found = try find(files, named: named)
        #expect(found.bounds.ends == ends && found.source == source)
    }

    @Test func faultsNameTheFile() throws {
        for (text, fault) in [
            (#"{"eos_token_id": "7"}"#, "'eos_token_id' is not"),
            (#"{"eos_token_id": [7, "a"]}"#, "'eos_token_id.[1]' is not"),
            ("[", "is not JSON"), (#"{"eos_token_id": 1.5}"#, "'eos_token_id' is not"),
        ] {
            let message = PhiTestSupport.fault { _ = try find(["generation_config.json": text]) }
            #expect(message.contains(fault), "\(message)")
        }
        for name in ["300", "-1", "no such", ""] {
            let message = PhiTestSupport.fault { _ = try find([:], named: [name]) }
            #expect(message.contains("which --eos names"), "\(message)")
        }
        let list = #"{"eos_token_id": [\#((0..<257).map(String.init).joined(separator: ","))]}"#
        #expect(PhiTestSupport.fault { _ = try find(["config.json": list]) }.contains("257 ends of text"))
    }
}
