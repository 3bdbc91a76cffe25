import Foundation
import PhiTestSupport
import Testing

extension ServerTests {
    /// Completions of `phi-server` equal those of `phi complete`.
    @Suite struct CompletionTests {
        private static let prompt = "def is_even(n):\n    return "

        @Test(arguments: Models.types) func equalsCompletionsOfTheCommand(_ type: String) throws {
            let path = try Models.path(type)
            let server = try ServerProcess(path: path)
            let expected = try Completed.of(Self.prompt, "-n", "40", path: path)
            let answer = try server.complete(["prompt": Self.prompt, "max_tokens": 40, "temperature": 0])
            #expect(answer.choices.map(\.text) == [expected.text])
            #expect(answer.choices.first?.finish_reason == "length")
            #expect(answer.object == "text_completion" && answer.model == "speaker.\(type)")
            let usage = try #require(answer.usage)
            #expect(usage.prompt_tokens == expected.prompt_ids.count && usage.completion_tokens == 40)
            #expect(usage.total_tokens == usage.prompt_tokens + 40)
        }

        @Test func theBuiltInModelIsServed() throws {
            let server = try ServerProcess(path: nil)
            let prompt = "def add(a, b):\n"
            let expected = try Command.run("complete", "--json", "-n", "24", prompt).json(Completed.self)
            let answer = try server.complete([
                "model": "phi-small", "prompt": prompt, "max_tokens": 24, "temperature": 0,
            ])
            #expect(answer.choices.map(\.text) == [expected.text])
        }

        @Test func everyChoiceHasItsSeed() throws {
            let server = try ServerProcess("--parallel", "2")
            let fields: [String: Any] = [
                "prompt": Self.prompt, "max_tokens": 30, "temperature": 0.9, "top_p": 0.95, "top_k": 40, "min_p": 0.01,
                "repeat_penalty": 1.1, "seed": 7, "n": 3,
            ]
            let answer = try server.complete(fields)
            #expect(answer.choices.map(\.index) == [0, 1, 2])
            for (choice, seed) in zip(answer.choices, 7...) {
                let expected = try Completed.of(
                    Self.prompt, "-n", "30", "--temperature", "0.9", "--top-p", "0.95", "--top-k", "40", "--min-p",
                    "0.01",
                    "--repeat-penalty", "1.1", "--seed", "\(seed)")
                #expect(choice.text == expected.text, "seed \(seed)")
            }
            #expect(Set(answer.choices.map(\.text)).count == 3)
            // The prompt was read once, for the first.
            let count = try Completed.of(Self.prompt, "-n", "1").prompt_ids.count
            #expect(answer.usage?.prompt_tokens == count && answer.usage?.completion_tokens == 90)
            #expect(try server.metric("phi_prompt_tokens_reused_total") == Double(2 * (count - 1)))
        }

        @Test func acceptsPromptsOfEveryKind() throws {
            let server = try ServerProcess()
            let texts = ["def f(x):", "class A", ""]
            let expected = try texts.map { try Completed.of($0, "-n", "12") }
            let options: [String: Any] = ["max_tokens": 12, "temperature": 0]
            func made(_ prompt: Any) throws -> [String] {
                try server.complete(options.merging(["prompt": prompt]) { $1 }).choices.map(\.text)
            }
            #expect(try made(texts) == expected.map(\.text))
            #expect(try made(expected.map(\.prompt_ids)) == expected.map(\.text))
            #expect(try made(expected[0].prompt_ids) == [expected[0].text])
            #expect(try made("class A") == [expected[1].text])
        }

        @Test func streamsTheSame() throws {
            let server = try ServerProcess()
            let fields: [String: Any] = [
                "prompt": [Self.prompt, "x = "], "n": 2, "max_tokens": 25, "seed": 3, "stop": ["e", "1"],
            ]
            let whole = try server.complete(fields)
            let events = try server.stream(fields.merging(["stream_options": ["include_usage": true]]) { $1 })
            #expect(events.count > 6)
            for choice in whole.choices {
                let pieces = events.flatMap(\.choices).filter { $0.index == choice.index }
                #expect(pieces.map(\.text).joined() == choice.text)
                #expect(pieces.compactMap(\.finish_reason) == [choice.finish_reason].compactMap { $0 })
                #expect(pieces.last?.finish_reason != nil)
            }
            #expect(events.dropLast().allSatisfy { $0.usage == nil && !$0.choices.isEmpty })
            #expect(events.last?.choices.isEmpty == true)
            #expect(events.last?.usage?.total_tokens == whole.usage?.total_tokens)
            #expect(Set(events.map(\.id)).count == 1)
        }

        @Test func stopsWhereItIsTold() throws {
            let server = try ServerProcess()
            let long = try Completed.of(Self.prompt, "-n", "40").text
            let stop = String(long.dropFirst(10).prefix(3))
            let expected = try Completed.of(Self.prompt, "-n", "40", "--stop", stop)
            let answer = try server.complete(["prompt": Self.prompt, "max_tokens": 40, "temperature": 0, "stop": stop])
            #expect(answer.choices.first?.text == expected.text && answer.choices.first?.finish_reason == "stop")
            let silent = try ServerProcess(path: Models.silent())
            let nothing = try silent.complete(["prompt": "x", "max_tokens": 5, "logprobs": 1])
            #expect(nothing.choices.first?.text == "" && nothing.choices.first?.finish_reason == "stop")
            // The end is a token that was made, and lm-eval counts on its log-probability.
            #expect(nothing.choices.first?.logprobs?.tokens.count == 1 && nothing.usage?.completion_tokens == 1)
        }

        @Test func aFullContextEndsACompletion() throws {
            let server = try ServerProcess("--context", "32")
            let expected = try Completed.of("abcdefgh", "-n", "64", "--context", "32")
            #expect(expected.stop_reason == "context_full")
            let answer = try server.complete(["prompt": "abcdefgh", "max_tokens": 32, "temperature": 0])
            #expect(answer.choices.first?.text == expected.text && answer.choices.first?.finish_reason == "length")
            let (status, error) = try server.refusal(
                ServerProcess.json(["prompt": String(repeating: "a b", count: 30), "max_tokens": 1]))
            #expect(status == 400 && error.code == "context_length_exceeded" && error.param == "prompt")
        }

        @Test func biasChoosesTokens() throws {
            let server = try ServerProcess()
            let plain = try Completed.of(Self.prompt, "-n", "1")
            let first = try #require(plain.ids.first)
            let answer = try server.complete([
                "prompt": Self.prompt, "max_tokens": 20, "temperature": 0, "logit_bias": ["\(first)": -100, "20": 100],
                "logprobs": 0,
            ])
            let tokens = try #require(answer.choices.first?.logprobs)
            #expect(Set(tokens.tokens).count == 1, "nothing but the token that is favoured")
            #expect(
                tokens.token_logprobs.allSatisfy { ($0 ?? 0) < -1 }, "the model's own log-probabilities, without bias")
        }

        @Test func completionsDoNotDependOnTheBatch() async throws {
            let path = try Models.path()
            let server = try ServerProcess("--parallel", "3", path: path)
            let port = server.port
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<12 {
                    group.addTask {
                        let prompt = String(repeating: "def f\(number)(x): ", count: 1 + number % 5)
                        let fields: [String: Any] = [
                            "prompt": prompt, "max_tokens": 10 + 3 * number, "temperature": 0.8, "seed": number,
                            "logprobs": 2,
                        ]
                        let connection = try HTTPConnection(port: port)
                        try connection.send("POST", "/v1/completions", Array(ServerProcess.json(fields).utf8))
                        let answer = try connection.readAnswer().json(CompletionAnswer.self)
                        let expected = try Completed.of(
                            prompt, "-n", "\(10 + 3 * number)", "--temperature", "0.8", "--seed", "\(number)",
                            path: path)
                        #expect(answer.choices.first?.text == expected.text, "text \(number)")
                    }
                }
                try await group.waitForAll()
            }
            try server.wait(for: "phi_texts_running", toBe: 0)
            #expect(try server.metric("phi_texts_waiting") == 0)
            _ = withExtendedLifetime(server) { 0 }
        }

        @Test func prefixesAreShared() throws {
            let server = try ServerProcess()
            let head = String(repeating: "a = b + c; ", count: 12)
            func complete(_ prompt: String) throws -> CompletionAnswer {
                try server.complete(["prompt": prompt, "max_tokens": 8, "temperature": 0])
            }
            let first = try complete(head + "x")
            #expect(first.usage?.prompt_tokens_details.cached_tokens == 0)
            let second = try complete(head + "yy")
            let cached = try #require(second.usage?.prompt_tokens_details.cached_tokens)
            #expect(cached >= 100)
            #expect(second.choices.first?.text == (try Completed.of(head + "yy", "-n", "8").text))
            // A prompt that continues an earlier completion.
            let longer = head + "x" + (first.choices.first?.text ?? "")
            let third = try complete(longer)
            #expect(third.choices.first?.text == (try Completed.of(longer, "-n", "8").text))
            #expect((third.usage?.prompt_tokens_details.cached_tokens ?? 0) > cached)
            let bytes = try #require(try server.metric("phi_prefix_cache_bytes"))
            #expect(bytes > 0)
            let none = try ServerProcess("--prefix-cache", "0")
            for _ in 0..<2 {
                let answer = try none.complete(["prompt": head, "max_tokens": 1])
                #expect(answer.usage?.prompt_tokens_details.cached_tokens == 0)
            }
            #expect(try none.metric("phi_prefix_cache_bytes") == 0)
        }
    }
}
