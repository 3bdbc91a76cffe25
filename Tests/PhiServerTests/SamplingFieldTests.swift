import Phi
import PhiServer
import PhiTestSupport
import Testing

/// Fields that choose tokens, in the names and with the meanings of OpenAI, vLLM and llama-server.
struct SamplingFieldTests {
    private static let prompt = #""prompt":"def add(a, b):\n""#
    private static let text = "def add(a, b):\n"

    private func alone(_ sampling: SamplingOptions, _ tokens: Int) throws -> Completion {
        try Session(#require(TestServer.model), threads: 1).complete(
            Self.text, GenerationOptions(maximumTokens: tokens, sampling: sampling, ignoresEndOfText: true))
    }

    @Test func penaltiesAreTheLibrarys() async throws {
        try await TestServer.run { server in
            for (fields, sampling) in [
                (#""presence_penalty":1.5"#, try SamplingOptions(presencePenalty: 1.5)),
                (#""frequency_penalty":0.75"#, try SamplingOptions(frequencyPenalty: 0.75)),
                (
                    #""frequency_penalty":-2,"presence_penalty":-2"#,
                    try SamplingOptions(presencePenalty: -2, frequencyPenalty: -2)
                ),
                (#""repetition_penalty":1.3"#, try SamplingOptions(repeatPenalty: 1.3)),
                (
                    #""repeat_penalty":1.3,"repetition_penalty":1.3,"repeat_last_n":-1"#,
                    try SamplingOptions(repeatPenalty: 1.3)
                ),
            ] {
                let answer = try await server.complete(
                    #"\#(Self.prompt),"max_tokens":60,"temperature":0,"ignore_eos":true,\#(fields)"#)
                #expect(try answer.choices[0].text == alone(sampling, 60).text, "\(fields)")
            }
            #expect(try alone(SamplingOptions(frequencyPenalty: 0.75), 60).text != alone(.greedy, 60).text)
        }
    }

    @Test func lengthsHaveManyNamesAndEndWithTheContext() async throws {
        try await TestServer.run({ $0.batching.context = 64 }) { server in
            for name in ["max_tokens", "max_completion_tokens", "n_predict", "max_new_tokens"] {
                let answer = try await server.complete(#"\#(Self.prompt),"ignore_eos":true,"\#(name)":3"#)
                #expect(answer.usage?.completion_tokens == 3 && answer.choices[0].finish_reason == "length")
                for count in ["64", "65", "1000000", "9223372036854775807"] {
                    let answer = try await server.complete(#"\#(Self.prompt),"ignore_eos":true,"\#(name)":\#(count)"#)
                    let usage = try #require(answer.usage)
                    // The last token needs no place.
                    #expect(usage.total_tokens == 65 && answer.choices[0].finish_reason == "length", "\(name) \(count)")
                }
            }
            let unlimited = try await server.complete(#"\#(Self.prompt),"ignore_eos":true,"n_predict":-1"#)
            #expect(unlimited.usage?.total_tokens == 65)
        }
    }

    @Test func stopTokensAndTheMinimumAreKept() async throws {
        try await TestServer.run { server in
            let whole = try completedAlone(Self.text, 200)
            try #require(whole.stopReason == .endOfText && whole.tokens.count > 1)
            let fields = #"\#(Self.prompt),"max_tokens":200,"temperature":0"#
            let stop = whole.tokens[whole.tokens.count / 2]
            let expected = try Session(#require(TestServer.model), threads: 1).complete(
                Self.text, GenerationOptions(maximumTokens: 200, stopTokens: [stop]))
            let answer = try await server.complete(#"\#(fields),"stop_token_ids":[\#(stop)]"#)
            #expect(answer.choices[0].text == expected.text && answer.choices[0].finish_reason == "stop")
            #expect(answer.usage?.completion_tokens == expected.tokens.count + 1)
            let longer = try await server.complete(#"\#(fields),"min_tokens":\#(whole.tokens.count + 20)"#)
            #expect(try #require(longer.usage).completion_tokens >= whole.tokens.count + 20)
            #expect(longer.choices[0].text.hasPrefix(whole.text))
        }
    }

    @Test func theBestOfSeveralAreReturned() async throws {
        try await TestServer.run { server in
            let fields = #""prompt":["def add(a, b):\n","class A"],"max_tokens":20,"temperature":1.2,"seed":4"#
            let all = try await server.complete(#"\#(fields),"n":6,"logprobs":0"#)
            let best = try await server.complete(#"\#(fields),"n":2,"best_of":6"#)
            func mean(_ choice: CompletionAnswer.Choice) -> Double {
                let scores = (choice.logprobs?.token_logprobs ?? []).compactMap { $0 }
                return scores.reduce(0, +) / Double(max(scores.count, 1))
            }
            let expected = [0..<6, 6..<12].flatMap { prompt in
                all.choices[prompt].sorted { mean($0) > mean($1) }.prefix(2).map(\.text)
            }
            #expect(best.choices.map(\.text) == expected && best.choices.map(\.index) == [0, 1, 2, 3])
            #expect(best.choices.allSatisfy { $0.logprobs == nil })
            // All of them were computed.
            #expect(best.usage?.completion_tokens == all.usage?.completion_tokens)
            let scored = try await server.complete(#"\#(fields),"best_of":6,"logprobs":1,"echo":true"#)
            #expect(scored.choices.map(\.text) == ["def add(a, b):\n" + expected[0], "class A" + expected[2]])
            #expect(scored.choices[0].logprobs?.token_logprobs.first == .some(nil))
        }
    }
}
