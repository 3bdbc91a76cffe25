import Foundation
import Phi
import PhiServer
import PhiTestSupport
import Testing

/// The routes of llama-server.
struct LlamaServerTests {
    private struct Answer: Decodable {
        struct Probability: Decodable {
            let id: Int32
            let token: String
            let bytes: [UInt8]
            let logprob: Double
            let top_logprobs: [Probability]?
        }
        struct Timings: Decodable {
            let cache_n, prompt_n, predicted_n: Int
            let prompt_ms, predicted_ms, prompt_per_second, predicted_per_token_ms: Double
        }
        struct Settings: Decodable {
            let temperature, top_p, min_p, frequency_penalty: Double
            let top_k, n_predict: Int
            let seed: UInt64
        }
        let index: Int
        let content: String
        let tokens: [Int32]
        let stop: Bool
        let id_slot, tokens_predicted, tokens_evaluated: Int
        let model, prompt, stop_type, stopping_word: String?
        let truncated: Bool?
        let tokens_cached: Int?
        let timings: Timings?
        let generation_settings: Settings?
        let completion_probabilities: [Probability]?
    }

    private static let text = "def add(a, b):\n"
    private static let start = #""prompt":"def add(a, b):\n""#

    private func complete(_ fields: String, _ server: TestServer) async throws -> TestResponse {
        let response = try await server.send(.post, "/completion", "{\(fields)}")
        try #require(response.status == .ok, "\(response.text)")
        return response
    }

    @Test func olderPathsAndPiecesOfTokensAreThere() async throws {
        struct Pieces: Decodable {
            struct Entry: Decodable {
                let id: Int32
                let piece: String
            }
            let tokens: [Entry]
        }
        try await TestServer.run { server in
            let response = try await server.send(.post, "/completions", "{\(Self.start),\"n_predict\":2}")
            #expect(response.status == .ok, "\(response.text)")
            #expect(try response.json(Answer.self).tokens_predicted == 2)
            let answer = try await server.send(.post, "/tokenize", #"{"content":"def add","with_pieces":true}"#)
            let bytes = try await server.send(.post, "/tokenize", #"{"content":"\ud83d\ude42","with_pieces":true}"#)
            let pieces = try answer.json(Pieces.self).tokens
            #expect(pieces.map(\.piece).joined() == "def add" && bytes.text.contains(#""piece":["#))
            #expect(pieces.map(\.id) == TestServer.model?.tokenizer.encode("def add"))
        }
    }

    /// The one that is returned is the first, whichever of the candidates it is.
    @Test func oneOfSeveralChoicesHasTheFirstIndex() async throws {
        try await TestServer.run { server in
            for seed in 0..<4 {
                let fields = Self.start + ",\"n_predict\":4,\"best_of\":4,\"seed\":\(seed)"
                let answer = try await complete(fields, server).json(Answer.self)
                #expect(answer.index == 0)
            }
        }
    }

    /// Times are the engine's, not those at which the response is put together.
    @Test func timesAreThoseOfTheTokens() async throws {
        try await TestServer.run { server in
            let answer = try await complete(Self.start + #","n_predict":40,"ignore_eos":true"#, server).json(
                Answer.self)
            let (times, alone) = (try #require(answer.timings), ContinuousClock.now)
            _ = try completedAlone(Self.text, 40)
            let seconds = (ContinuousClock.now - alone).seconds
            // Forty tokens take time; a bound that no slow machine breaks.
            #expect(times.predicted_n == 40 && times.predicted_ms > 1000 * seconds / 50, "\(times) \(seconds)")
            #expect(times.prompt_ms > 0)
        }
    }

    @Test func penaltiesHaveNoWindow() async throws {
        try await TestServer.run { server in
            for penalty in [#""frequency_penalty":1"#, #""presence_penalty":1"#, #""repeat_penalty":1.1"#] {
                let fields = "{\(Self.start),\(penalty),\"repeat_last_n\":64}"
                let response = try await server.send(.post, "/completion", fields)
                #expect(try response.status.code == 400 && response.error.param == "repeat_last_n")
            }
            _ = try await complete(Self.start + #","n_predict":1,"repeat_last_n":64"#, server)
        }
    }

    @Test func completionsHaveItsFields() async throws {
        try await TestServer.run { server in
            let expected = try completedAlone(Self.text, 200, logprobs: 2)
            try #require(expected.stopReason == .endOfText)
            let fields = #"\#(Self.start),"temperature":0,"return_tokens":true,"n_probs":2"#
            let answer = try await complete(fields, server).json(Answer.self)
            #expect(answer.content == expected.text && answer.stop && answer.stop_type == "eos")
            // The end of text is a token too.
            #expect(answer.tokens == expected.tokens + [TestServer.endOfText] && answer.prompt == Self.text)
            #expect(answer.tokens_predicted == expected.tokens.count + 1 && answer.model == "small")
            #expect(answer.timings?.predicted_n == answer.tokens_predicted && answer.truncated == false)
            #expect(answer.timings?.prompt_n == answer.tokens_evaluated && answer.index == 0)
            #expect(answer.tokens_cached == answer.tokens_evaluated + answer.tokens_predicted)
            let probabilities = try #require(answer.completion_probabilities)
            #expect(probabilities.map(\.logprob).starts(with: expected.choices.map(\.logProbability)))
            #expect(probabilities.map(\.id) == answer.tokens)
            #expect(probabilities.allSatisfy { $0.top_logprobs?.count == 2 })
            #expect(probabilities.map { String(decoding: $0.bytes, as: UTF8.self) }.joined().hasPrefix(answer.content))
            let short = #"\#(Self.start),"n_predict":6,"temperature":0,"stop":["never"]"#
            let cut = try await complete(short, server).json(Answer.self)
            #expect(cut.content == (try completedAlone(Self.text, 6).text) && cut.stop_type == "limit")
            #expect(cut.tokens.isEmpty && cut.completion_probabilities == nil)
            let stop = String(expected.text.dropFirst(8).prefix(2)).replacing("\n", with: "\\n")
            let stopped = try await complete(#"\#(Self.start),"temperature":0,"stop":["\#(stop)"]"#, server)
            #expect(try stopped.json(Answer.self).stop_type == "word")
        }
    }

    @Test func absentFieldsMeanWhatTheyMeanThere() async throws {
        try await TestServer.run({ $0.batching.context = 64 }) { server in
            let answer = try await complete(#"\#(Self.start),"ignore_eos":true,"seed":5"#, server).json(Answer.self)
            let settings = try #require(answer.generation_settings)
            #expect(
                settings.temperature == 0.8 && settings.top_k == 40 && settings.top_p == 0.95 && settings.min_p == 0.05)
            #expect(settings.seed == 5 && answer.truncated == true)
            let sampling = try SamplingOptions(temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05, seed: 5)
            let session = try Session(#require(TestServer.model), context: 64, threads: 1)
            let expected = try session.complete(
                Self.text, GenerationOptions(sampling: sampling, ignoresEndOfText: true))
            #expect(answer.content == expected.text)
            // -1 draws a seed.
            let drawn = try await complete(#"\#(Self.start),"n_predict":1,"seed":-1"#, server).json(Answer.self)
            #expect(try #require(drawn.generation_settings).seed <= UInt64(UInt32.max))
            // Whole numbers may be of any size.
            for count in ["9223372036854775807", "1e19", "1e300"] {
                let huge = try await complete(#"\#(Self.start),"n_predict":1,"top_k":\#(count)"#, server)
                #expect(try #require(huge.json(Answer.self).generation_settings).top_k == .max)
            }
            let several = try await complete(#""prompt":["a","b"],"n_predict":1"#, server).json([Answer].self)
            #expect(several.map(\.index) == [0, 1])
        }
    }

    /// The answers of the other dialect have no place for them.
    @Test func tokensAreOfItsOwnAnswers() async throws {
        try await TestServer.run { server in
            let fields = #"{"prompt":"x","max_tokens":1,"return_tokens":true}"#
            let response = try await server.send(.post, "/v1/completions", fields)
            let error = try response.error
            #expect(response.status == .badRequest && error.param == "return_tokens")
            #expect(error.message.contains("not supported: "))
        }
    }

    @Test func streamsEndWithTheWhole() async throws {
        try await TestServer.run { server in
            let response = try await complete(
                #"\#(Self.start),"temperature":0,"stream":true,"cache_prompt":true"#, server)
            let events = response.text.components(separatedBy: "\n\n").dropLast().map { $0.dropFirst(6) }
            let answers = try events.map { try JSONDecoder().decode(Answer.self, from: Data($0.utf8)) }
            let expected = try completedAlone(Self.text, 200)
            #expect(answers.map(\.content).joined() == expected.text && answers.count > 5)
            #expect(answers.dropLast().allSatisfy { !$0.stop && $0.stop_type == nil })
            let last = try #require(answers.last)
            #expect(last.stop && last.stop_type == "eos" && last.tokens_predicted == expected.tokens.count + 1)
            #expect(zip(answers, answers.dropFirst()).allSatisfy { $0.tokens_predicted <= $1.tokens_predicted })
        }
    }

    @Test func theServerDescribesItself() async throws {
        struct Props: Decodable {
            struct Defaults: Decodable { let n_ctx: Int }
            let default_generation_settings: Defaults
            let total_slots: Int
            let model_alias, eos_token, chat_template: String
        }
        struct Slot: Decodable {
            let id, n_ctx: Int
            let is_processing: Bool
        }
        struct Models: Decodable {
            struct Model: Decodable {
                struct Meta: Decodable { let n_vocab, n_ctx_train, n_embd, size: Int }
                let id, object: String
                let max_model_len: Int
                let meta: Meta
            }
            let data: [Model]
        }
        try await TestServer.run({ $0.batching.slots = 3 }) { server in
            let props = try await server.send(.get, "/props").json(Props.self)
            #expect(props.default_generation_settings.n_ctx == 1024 && props.total_slots == 3)
            #expect(props.model_alias == "small" && props.eos_token == "<|endoftext|>" && props.chat_template.isEmpty)
            let slots = try await server.send(.get, "/slots").json([Slot].self)
            #expect(slots.map(\.id) == [0, 1, 2] && slots.allSatisfy { !$0.is_processing && $0.n_ctx == 1024 })
            let task = Task { try await server.send(.post, "/v1/completions", "{\(TestServer.endless)}") }
            try await server.wait(for: "phi_texts_running", toBe: 3)
            #expect(try await server.send(.get, "/slots").json([Slot].self).allSatisfy(\.is_processing))
            task.cancel()
            _ = try? await task.value
            let model = try #require(try await server.send(.get, "/v1/models").json(Models.self).data.first)
            #expect(model.id == "small" && model.object == "model" && model.max_model_len == 1024)
            #expect(model.meta.n_vocab == 2048 && model.meta.size > 100_000 && model.meta.n_ctx_train == 1024)
            let infill = try await server.send(
                .post, "/infill", #"{"input_prefix":"a","input_suffix":"b","prompt":""}"#)
            #expect(try infill.status.code == 501 && infill.error.message.contains("not trained to fill in"))
        }
    }
}
