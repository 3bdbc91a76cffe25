import Foundation
import PhiTestSupport
import PhiTokenizer
import Testing

/// Tests of equality with Hugging Face's `tokenizers` on phi-1's tokenizer, which is not in the repository.
///
/// The folder ``testData`` contains codegen-tokenizer/{vocab.json,merges.txt,added_tokens.json}, HumanEval.jsonl.gz and
/// mbpp.jsonl.
@Suite(.enabled(if: testData != nil, needsTestData))
struct CodeGenTests {
    private struct HumanEvalTask: Decodable {
        let prompt, canonical_solution, test: String
    }

    private struct MBPPTask: Decodable {
        let text, code: String
        let test_list: [String]
    }

    private let data: URL
    private let tokenizer: Tokenizer
    private let golden: Goldens.CodeGen

    init() throws {
        data = URL(fileURLWithPath: try #require(testData))
        tokenizer = Tokenizer(try CodeGenFiles.vocabulary(data.appendingPathComponent("codegen-tokenizer")))
        golden = try Goldens.read("codegen.json")
    }

    @Test func randomDocuments() throws {
        var documents = RandomDocuments(seed: golden.seed)
        for (group, expected) in golden.documents.enumerated() {
            let texts = (0..<golden.documentsPerHash).map { _ in documents.next() }
            let ids = texts.map { tokenizer.encode($0) }
            #expect(DocumentHash.of(ids) == expected, "documents of group \(group)")
            for (text, ids) in zip(texts, ids) { #expect(tokenizer.decodeBytes(ids) == utf8(text)) }
        }
    }

    @Test func humanEval() throws {
        let gunzip = Process()
        gunzip.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        gunzip.arguments = ["gzip", "-dc", data.appendingPathComponent("HumanEval.jsonl.gz").path]
        let pipe = Pipe()
        gunzip.standardOutput = pipe
        try gunzip.run()
        let tasks = try lines(try pipe.fileHandleForReading.readToEnd() ?? Data(), as: HumanEvalTask.self)
        gunzip.waitUntilExit()
        #expect(tasks.count == golden.humanEval.count)
        for (task, expected) in zip(tasks, golden.humanEval) {
            let ids = [task.prompt, task.canonical_solution, task.test].map { tokenizer.encode($0) }
            #expect(DocumentHash.of(ids) == expected)
        }
    }

    @Test func mbpp() throws {
        let tasks = try lines(try Data(contentsOf: data.appendingPathComponent("mbpp.jsonl")), as: MBPPTask.self)
        #expect(tasks.count == golden.mbpp.count)
        for (task, expected) in zip(tasks, golden.mbpp) {
            let ids = ([task.text, task.code] + task.test_list).map { tokenizer.encode($0) }
            #expect(DocumentHash.of(ids) == expected)
        }
    }

    @Test func sectionRoundTrip() throws {
        let section = tokenizer.vocabulary.section()
        let clock = ContinuousClock()
        let start = clock.now
        let vocabulary = try section.withUnsafeBytes { try Vocabulary(section: $0) }
        print("opening phi-1's vocabulary took \(clock.now - start)")
        #expect(vocabulary == tokenizer.vocabulary)
        #expect(vocabulary.section() == section)
    }

    private func lines<Line: Decodable>(_ data: Data, as: Line.Type) throws -> [Line] {
        try data.split(separator: 0x0A).map { try JSONDecoder().decode(Line.self, from: Data($0)) }
    }
}
