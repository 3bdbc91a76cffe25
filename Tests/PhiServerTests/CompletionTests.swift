import Phi
import PhiServer
import Testing

/// Results of `/v1/completions`: those of a session by itself.
struct CompletionTests {
    private static let prompt = "def add(a, b):\n"

    @Test func promptsComeInFourForms() async throws {
        try await TestServer.run { server in
            let prompts = ["def f(x):", "class A", ""]
            let expected = try prompts.map { try completedAlone($0, 12).text }
            let ids = try prompts.dropLast().map { try #require(TestServer.model).tokenizer.encode($0) }
            let options = #""max_tokens":12,"temperature":0"#
            func texts(_ prompt: String) async throws -> [String] {
                try await server.complete(#""prompt":\#(prompt),\#(options)"#).choices.map(\.text)
            }
            #expect(try await texts("\(prompts)") == expected)
            #expect(try await texts("\(ids)") == Array(expected.dropLast()))
            #expect(try await texts("\(ids[0])") == [expected[0]])
            #expect(try await texts("\"class A\"") == [expected[1]])
        }
    }

    @Test func eachChoiceHasItsSeed() async throws {
        try await TestServer.run({ $0.batching.slots = 2 }) { server in
            let fields = #""prompt":"\#(Self.json)","max_tokens":30,"temperature":0.9,"seed":7,"n":3"#
            let answer = try await server.complete(fields)
            #expect(answer.choices.map(\.index) == [0, 1, 2])
            for (choice, seed) in zip(answer.choices, UInt64(7)...) {
                #expect(choice.text == (try completedAlone(Self.prompt, 30, temperature: 0.9, seed: seed).text))
            }
            #expect(try await server.complete(fields).choices.map(\.text) == answer.choices.map(\.text))
            // The prompt is prefilled once and copied.
            let count = try #require(answer.usage?.prompt_tokens)
            #expect(server.metric("phi_prompt_tokens_reused_total") >= Double(2 * (count - 1)))
        }
    }

    private static let json = "def add(a, b):\\n"

    @Test func stopStringsEndTheText() async throws {
        try await TestServer.run { server in
            let long = try completedAlone(Self.prompt, 60).text
            let stop = String(long.dropFirst(8).prefix(3))
            let expected = try completedAlone(Self.prompt, 60, stop: [stop])
            let field = stop.replacing("\n", with: "\\n").replacing("\"", with: "\\\"")
            let answer = try await server.complete(
                #""prompt":"\#(Self.json)","max_tokens":60,"temperature":0,"stop":["never","\#(field)"]"#)
            #expect(answer.choices[0].text == expected.text && answer.choices[0].finish_reason == "stop")
            // The text ends by itself too, and the last token counts.
            let whole = try completedAlone(Self.prompt, 200)
            try #require(whole.stopReason == .endOfText)
            let ended = try await server.complete(#""prompt":"\#(Self.json)","max_tokens":200,"temperature":0"#)
            #expect(ended.choices[0].text == whole.text && ended.choices[0].finish_reason == "stop")
            #expect(ended.usage?.completion_tokens == whole.tokens.count + 1)
        }
    }

    @Test func endsOfTextAreIgnoredIfAsked() async throws {
        try await TestServer.run { server in
            let ended = try completedAlone(Self.prompt, 200)
            try #require(ended.stopReason == .endOfText)
            let fields = #""prompt":"\#(Self.json)","max_tokens":200,"temperature":0,"ignore_eos""#
            let answer = try await server.complete(fields + ":true")
            #expect(answer.usage?.completion_tokens == 200 && answer.choices[0].finish_reason == "length")
            #expect(answer.choices[0].text.hasPrefix(ended.text))
            #expect(try await server.complete(fields + ":false").choices[0].text == ended.text)
        }
    }

    @Test(arguments: [nil, 0, 3]) func echoAndLogprobsAreTheSessions(_ logprobs: Int?) async throws {
        try await TestServer.run { server in
            let expected = try completedAlone(Self.prompt, 6, logprobs: logprobs ?? 0)
            let field = logprobs.map { #","logprobs":\#($0)"# } ?? ""
            let answer = try await server.complete(
                #""prompt":"\#(Self.json)","max_tokens":6,"temperature":0,"echo":true\#(field)"#)
            let choice = answer.choices[0]
            #expect(choice.text == Self.prompt + expected.text)
            guard let logprobs else { return #expect(choice.logprobs == nil) }
            let scores = try #require(choice.logprobs)
            let ids = try #require(TestServer.model).tokenizer.encode(Self.prompt)
            #expect(scores.tokens.joined() == choice.text)
            #expect(scores.token_logprobs.first == .some(nil) && scores.top_logprobs.first == .some(nil))
            let known = scores.token_logprobs.compactMap { $0 }
            #expect(Array(known.dropFirst(ids.count - 1)) == expected.choices.map(\.logProbability))
            // Those of the prompt, by the logits after each of its tokens.
            var alone: [Double] = []
            try Session(#require(TestServer.model), threads: 1).append(ids) { place, logits in
                if place + 1 < ids.count { alone.append(LogProbabilities(logits).of(ids[place + 1])) }
            }
            #expect(Array(known.prefix(ids.count - 1)) == alone)
            for top in scores.top_logprobs.dropFirst() {
                #expect((max(1, logprobs)...logprobs + 1).contains(top?.count ?? 0))
            }
            #expect(scores.text_offset.first == 0 && scores.text_offset == scores.text_offset.sorted())
        }
    }

    @Test func promptsAreScoredWithoutGenerating() async throws {
        try await TestServer.run { server in
            let answer = try await server.complete(
                #""prompt":["\#(Self.json)","x"],"n":2,"max_tokens":0,"echo":true,"logprobs":1"#)
            #expect(answer.choices.map(\.text) == [Self.prompt, Self.prompt, "x", "x"])
            #expect(answer.choices.allSatisfy { $0.finish_reason == "length" })
            #expect(answer.choices[0].logprobs?.token_logprobs == answer.choices[1].logprobs?.token_logprobs)
            #expect(answer.choices[3].logprobs?.token_logprobs == [nil] && answer.usage?.completion_tokens == 0)
        }
    }

    @Test func biasChangesTheChoiceNotTheLogprobs() async throws {
        try await TestServer.run { server in
            let first = try #require(try completedAlone(Self.prompt, 1).tokens.first)
            let answer = try await server.complete(
                #""prompt":"x","max_tokens":5,"temperature":0,"logit_bias":{"\#(first)":100},"logprobs":0"#)
            let scores = try #require(answer.choices[0].logprobs)
            #expect(Set(scores.tokens).count == 1 && scores.token_logprobs.allSatisfy { ($0 ?? 0) < 0 })
        }
    }

    @Test func streamsHoldTheSameInPieces() async throws {
        try await TestServer.run { server in
            let prompts = #""prompt":["\#(Self.json)","x = "],"n":2"#
            let fields = prompts + #","max_tokens":25,"seed":3,"stop":["ret"],"logprobs":1"#
            let whole = try await server.complete(fields)
            let (events, last) = try await server.stream(fields + #","stream_options":{"include_usage":true}"#)
            #expect(last == "[DONE]" && events.count > 6 && Set(events.map(\.id)).count == 1)
            for choice in whole.choices {
                let pieces = events.flatMap(\.choices).filter { $0.index == choice.index }
                #expect(pieces.map(\.text).joined() == choice.text)
                #expect(pieces.compactMap(\.finish_reason) == [choice.finish_reason].compactMap { $0 })
                #expect(pieces.last?.finish_reason != nil)
                #expect(pieces.flatMap { $0.logprobs?.token_logprobs ?? [] } == choice.logprobs?.token_logprobs)
                #expect(pieces.flatMap { $0.logprobs?.text_offset ?? [] } == choice.logprobs?.text_offset)
            }
            #expect(events.dropLast().allSatisfy { $0.usage == nil && $0.choices.count == 1 })
            #expect(events.last?.choices.isEmpty == true)
            #expect(events.last?.usage?.total_tokens == whole.usage?.total_tokens)
            let plain = try await server.stream(fields)
            #expect(plain.events.allSatisfy { $0.usage == nil })
        }
    }
}
