import Foundation
import PhiTestSupport
import Testing

extension ServerTests {
    /// `echo` and `logprobs`, with which lm-eval and others score text.
    @Suite struct ScoreTests {
        private static let prompt = "def f(x):\n    return x"

        /// The logits of `phi logits` for a text: a row for each of its tokens.
        private func logits(_ ids: [Int], _ path: String) throws -> [[Float]] {
            let folder = try TemporaryFolder()
            let input = try folder.write("ids.json", "\(ids)")
            let outcome = try Command.run("logits", "-m", path, "--ids", input, "-o", folder.at("out.npy"))
            try #require(outcome.status == 0, "\(outcome.errorText)")
            let file = try readFile(folder.at("out.npy"))
            let start = 10 + (Int(file[8]) | Int(file[9]) << 8)
            let floats = stride(from: start, to: file.count, by: 4).map { place in
                Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(file[place + $1]) << (8 * UInt32($1)) })
            }
            let width = floats.count / ids.count
            return ids.indices.map { Array(floats[$0 * width..<($0 + 1) * width]) }
        }

        private func logSoftmax(_ row: [Float]) -> [Double] {
            let top = row.map(Double.init).max() ?? 0
            let sum = row.reduce(0.0) { $0 + exp(Double($1) - top) }
            return row.map { Double($0) - top - log(sum) }
        }

        @Test(arguments: Models.types) func echoedPromptsAreScoredAsByLogits(_ type: String) throws {
            let path = try Models.path(type)
            let server = try ServerProcess(path: path)
            // Longer than one step's slice.
            let prompt = String(repeating: Self.prompt, count: 8)
            let expected = try Completed.of(prompt, "-n", "5", path: path)
            let answer = try server.complete([
                "prompt": expected.prompt_ids, "max_tokens": 5, "temperature": 0, "echo": true, "logprobs": 3,
            ])
            let choice = try #require(answer.choices.first)
            #expect(choice.text == prompt + expected.text)
            let scores = try #require(choice.logprobs)
            let ids = expected.prompt_ids + expected.ids
            let rows = try logits(ids, path)
            #expect(scores.tokens.count == ids.count && scores.top_logprobs.count == ids.count)
            #expect(scores.token_logprobs.first == .some(nil) && scores.top_logprobs.first == .some(nil))
            for place in ids.indices.dropFirst() {
                let all = logSoftmax(rows[place - 1])
                let own = try #require(scores.token_logprobs[place])
                #expect(abs(own - all[ids[place]]) < 1e-9)
                let top = try #require(scores.top_logprobs[place])
                #expect((3...4).contains(top.count) && top[scores.tokens[place]] == own)
                #expect(abs((top.values.max() ?? 0) - (all.max() ?? 0)) < 1e-9)
            }
            // Tokens stand where they say they do.
            let text = Array(choice.text.unicodeScalars)
            for (token, offset) in zip(scores.tokens, scores.text_offset) {
                let scalars = Array(token.unicodeScalars)
                #expect(Array(text[offset..<offset + scalars.count]) == scalars)
            }
        }

        /// The request of lm-eval for one answer of a multiple-choice task.
        @Test(arguments: [0, 1]) func aPromptIsScoredWithoutCompletion(_ more: Int) throws {
            let server = try ServerProcess()
            let ids = [[70, 71, 256, 5, 6], [80, 81, 82]]
            let answer = try server.complete([
                "prompt": ids, "max_tokens": more, "temperature": 0, "echo": true, "logprobs": 1, "seed": 1234,
            ])
            for (choice, ids) in zip(answer.choices, ids) {
                let scores = try #require(choice.logprobs)
                #expect(scores.token_logprobs.count == ids.count + more && choice.finish_reason == "length")
                let rows = try logits(ids, Models.path())
                for place in ids.indices.dropFirst() {
                    let own = try #require(scores.token_logprobs[place])
                    #expect(abs(own - logSoftmax(rows[place - 1])[ids[place]]) < 1e-9)
                }
            }
            #expect(answer.usage?.completion_tokens == 2 * more)
        }

        @Test func choicesOfAPromptShareItsScores() throws {
            let server = try ServerProcess("--parallel", "2")
            let fields: [String: Any] = [
                "prompt": Self.prompt, "n": 3, "max_tokens": 4, "echo": true, "logprobs": 1, "seed": 1,
            ]
            let answer = try server.complete(fields)
            let heads = answer.choices.map { $0.logprobs?.token_logprobs.prefix(20) }
            #expect(heads.count == 3 && heads[0] == heads[1] && heads[0] == heads[2])
            let events = try server.stream(fields)
            for choice in answer.choices {
                let pieces = events.flatMap(\.choices).filter { $0.index == choice.index }
                #expect(pieces.map(\.text).joined() == choice.text)
                #expect(pieces.flatMap { $0.logprobs?.token_logprobs ?? [] } == choice.logprobs?.token_logprobs)
                #expect(pieces.flatMap { $0.logprobs?.text_offset ?? [] } == choice.logprobs?.text_offset)
            }
        }

        @Test func bytesThatAreNoTextAreWrittenAsBytes() throws {
            let server = try ServerProcess(path: Models.long())
            let answer = try server.complete([
                "prompt": "é", "max_tokens": 100, "temperature": 2, "seed": 5, "logprobs": 2, "echo": true,
            ])
            let choice = try #require(answer.choices.first)
            let scores = try #require(choice.logprobs)
            #expect(scores.tokens.contains { $0.hasPrefix("bytes:\\x") })
            #expect(choice.text.contains("\u{FFFD}"))
            #expect(scores.text_offset == scores.text_offset.sorted())
            #expect((scores.text_offset.last ?? 0) <= choice.text.unicodeScalars.count)
            #expect(scores.top_logprobs.dropFirst().allSatisfy { $0?.isEmpty == false })
        }
    }
}
