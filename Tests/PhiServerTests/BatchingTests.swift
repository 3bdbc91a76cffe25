import HTTPTypes
import Phi
import PhiServer
import PhiTestSupport
import Testing

/// Sequences together, and requests that end before their time.
struct BatchingTests {
    /// By default, without drafts, with drafts in every step, and with those of a draft model.
    @Test(arguments: [
        Speculation.automatic, .off, Speculation(policy: .fixed(1)), Speculation(policy: .fixed(7)), .byItself,
    ])
    func eachSequenceIsWhatItIsAlone(_ speculation: Speculation) async throws {
        try await TestServer.run({
            $0.batching.slots = 3
            $0.batching.speculation = speculation
        }) { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<10 {
                    group.addTask {
                        let prompt = String(repeating: "def f\(number)(x): ", count: 1 + 7 * (number % 4))
                        let tokens = 10 + 5 * number
                        let options = #""max_tokens":\#(tokens),"temperature":0.8,"seed":\#(number),"logprobs":2"#
                        let answer = try await server.complete(#""prompt":"\#(prompt)",\#(options)"#)
                        let expected = try completedAlone(
                            prompt, tokens, temperature: 0.8, seed: UInt64(number), logprobs: 2)
                        let choice = answer.choices[0]
                        #expect(choice.text == expected.text, "request \(number)")
                        // To the last bit, also when the end is one of the tokens.
                        let scores = (choice.logprobs?.token_logprobs ?? []).compactMap { $0 }
                        let isEqual = scores.starts(with: expected.choices.map(\.logProbability))
                        #expect(isEqual, "request \(number)")
                    }
                }
                try await group.waitForAll()
            }
            try await server.wait(for: "phi_texts_running", toBe: 0)
            #expect(server.metric("phi_texts_waiting") == 0)
            let (drafted, accepted) = (
                server.metric("phi_drafted_tokens_total"), server.metric("phi_accepted_tokens_total")
            )
            #expect(accepted <= drafted)
            if case .fixed = speculation.policy { #expect(accepted > 0) }
            if speculation.isOff { #expect(drafted == 0) }
            // 10 + 15 + ... + 55 unless a text ends, and every token is counted once.
            #expect(server.metric("phi_completion_tokens_total") <= 325)
            let between = server.metric("phi_time_between_tokens_seconds_count")
            #expect(between + 10 == server.metric("phi_completion_tokens_total"))
        }
    }

    @Test func longPromptsArePrefilledInChunksBesideOthers() async throws {
        try await TestServer.run({ $0.batching.slots = 2 }) { server in
            let prompt = (0..<1000).map { Int32($0 * 7 % 2000) }
            let session = try Session(#require(TestServer.model), threads: 1)
            let expected = try session.complete(prompt, GenerationOptions(maximumTokens: 8)).text
            async let short = server.complete(
                #""prompt":"x","max_tokens":300,"temperature":0,"logit_bias":{"2047":-100}"#)
            let long = try await server.complete(#""prompt":\#(prompt),"max_tokens":8,"temperature":0"#)
            #expect(long.choices[0].text == expected && long.usage?.prompt_tokens == 1000)
            #expect(try await short.usage?.completion_tokens == 300)
            let steps = server.metric("phi_step_tokens_count")
            #expect(server.metric(#"phi_step_tokens_bucket{le="256"}"#) == steps)
            #expect(steps >= 1000 / Double(PrefillBudget.range.upperBound))
        }
    }

    @Test func prefixesAreReused() async throws {
        try await TestServer.run { server in
            let head = String(repeating: "a = b + c; ", count: 30)
            func complete(_ end: String) async throws -> CompletionAnswer {
                let answer = try await server.complete(
                    #""prompt":"\#(head)\#(end)","max_tokens":8,"temperature":0"#)
                #expect(answer.choices[0].text == (try completedAlone(head + end, 8).text))
                return answer
            }
            #expect(try await complete("x").usage?.prompt_tokens_details.cached_tokens == 0)
            let second = try #require(try await complete("yy").usage)
            #expect(second.prompt_tokens_details.cached_tokens > second.prompt_tokens / 2)
            #expect(server.metric("phi_prefix_cache_bytes") > 0)
        }
        try await TestServer.run({ $0.batching.prefixCacheBytes = 0 }) { server in
            for _ in 0..<2 {
                let answer = try await server.complete(#""prompt":"a = b + c; a = b","max_tokens":1"#)
                #expect(answer.usage?.prompt_tokens_details.cached_tokens == 0)
            }
        }
    }

    @Test(arguments: [false, true]) func aCancelledRequestFreesItsSlots(_ streams: Bool) async throws {
        try await TestServer.run({ $0.batching.slots = 2 }) { server in
            let fields = TestServer.endless + (streams ? #","stream":true"# : "")
            let task = Task { try await server.send(.post, "/v1/completions", "{\(fields)}") }
            try await server.wait(for: "phi_texts_running", toBe: 2)
            task.cancel()
            _ = try? await task.value
            try await server.wait(for: "phi_texts_running", toBe: 0)
            try await server.wait(for: "phi_texts_waiting", toBe: 0)
            #expect(server.metric("phi_requests_cancelled_total") == 1)
            #expect(server.metric("phi_prompt_tokens_total") >= 2)
            #expect(try await server.complete(#""prompt":"x","max_tokens":1"#).choices.count == 1)
        }
    }

    /// Counted is what was computed or reused, and a text that ends at once needs no prompt.
    @Test func promptsThatNeedNotBeComputedAreNotCounted() async throws {
        try await TestServer.run { server in
            _ = try await server.complete(#""prompt":"def f(x):","max_tokens":0"#)
            _ = try await server.complete(#""prompt":"def f(x):","max_tokens":5,"guided_choice":[""]"#)
            #expect(server.metric("phi_prompt_tokens_total") == 0)
            let answer = try await server.complete(#""prompt":"def f(x):","max_tokens":1"#)
            #expect(answer.usage?.prompt_tokens == Int(server.metric("phi_prompt_tokens_total")))
        }
    }

    /// Over a socket: the server learns of the client's end without writing to it.
    @Test func aClosedConnectionCancelsItsRequest() async throws {
        try await TestServer.run({
            $0.batching.slots = 2
            $0.port = 0
        }) { server in
            try await server.listening { port in
                let connection = try HTTPConnection(port: port)
                try connection.send("POST", "/v1/completions", Array("{\(TestServer.endless)}".utf8))
                try await server.wait(for: "phi_texts_running", toBe: 2)
                connection.close()
                try await server.wait(for: "phi_texts_running", toBe: 0)
                #expect(server.metric("phi_requests_cancelled_total") == 1)
            }
        }
    }

    @Test func aFullQueueRefusesWithATimeToRetry() async throws {
        try await TestServer.run({
            $0.batching.slots = 1
            $0.batching.queue = 2
        }) { server in
            let task = Task { try await server.send(.post, "/v1/completions", "{\(TestServer.endless)}") }
            try await server.wait(for: "phi_texts_running", toBe: 1)
            let response = try await server.send(.post, "/v1/completions", #"{"prompt":"x"}"#)
            #expect(response.status == .tooManyRequests)
            #expect((1...60).contains(Int(response.headers[.retryAfter] ?? "") ?? 0))
            #expect(try response.error.type == "rate_limit_error" && response.error.code == "queue_full")
            #expect(server.metric("phi_requests_rejected_total") == 1)
            task.cancel()
            _ = try? await task.value
        }
    }

    @Test func requestsThatFindFreeSlotsAreNotRefused() async throws {
        try await TestServer.run({
            $0.batching.slots = 8
            $0.batching.queue = 1
        }) { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<6 {
                    group.addTask { _ = try await server.complete(#""prompt":"x\#(number)","max_tokens":20"#) }
                }
                try await group.waitForAll()
            }
            #expect(server.metric("phi_requests_rejected_total") == 0)
        }
    }

    /// A constraint whose only token is a stop token: nothing can be chosen.
    @Test func aRequestThatNoTokenFitsFailsAlone() async throws {
        try await TestServer.run({ $0.batching.slots = 3 }) { server in
            let token = try #require(TestServer.model?.tokenizer.encode("a").first)
            let impossible = #""prompt":"x = ","regex":"a","stop_token_ids":[\#(token)],"max_tokens":5"#
            // Others are computed beside it, one after the other: a single one might have ended before.
            let others = Task {
                let fields = #""prompt":"def f(x):","max_tokens":900,"temperature":0,"ignore_eos":true"#
                while true {
                    let response = try await server.send(.post, "/v1/completions", "{\(fields)}")
                    try Task.checkCancellation()
                    #expect(try response.json(CompletionAnswer.self).usage?.completion_tokens == 900)
                }
            }
            try await server.wait(for: "phi_steps_total", toAtLeast: 1)
            for fields in [impossible, impossible + #","n":100"#] {
                let response = try await server.send(.post, "/v1/completions", "{\(fields)}")
                #expect(response.status == .badRequest && response.headers[.retryAfter] == nil)
                #expect(try response.error.code == "no_token_fits")
            }
            others.cancel()
            _ = await others.result
            // With nothing else to compute, waiting sequences of a failed request do not fill the queue.
            let last = try await server.send(.post, "/v1/completions", "{\(impossible),\"n\":100}")
            #expect(last.status == .badRequest)
            #expect(try await server.complete(#""prompt":"x","max_tokens":1"#).choices.count == 1)
        }
    }

    @Test func aRequestHasALimitOfTime() async throws {
        try await TestServer.run({ $0.limits.time = .milliseconds(300) }) { server in
            let response = try await server.send(.post, "/v1/completions", "{\(TestServer.endless)}")
            #expect(response.status == .serviceUnavailable)
            #expect(try response.error.code == "timeout")
            // The status of a stream is sent already: it ends by an error.
            let stream = try await server.stream(TestServer.endless)
            #expect(stream.events.count > 1 && stream.last.contains(#""code":"timeout""#))
            #expect(server.metric("phi_requests_timed_out_total") == 2)
        }
    }

    @Test func shutdownFinishesRequestsAndRefusesNewOnes() async throws {
        try await TestServer.run { server in
            let expected = try completedAlone("x", 900)
            async let answer = server.complete(#""prompt":"x","max_tokens":900,"temperature":0"#)
            try await server.wait(for: "phi_steps_total", toAtLeast: 1)
            server.server.engine.queue.close(by: .now + .seconds(60))
            let refused = try await server.send(.post, "/v1/completions", #"{"prompt":"x"}"#)
            #expect(refused.status == .serviceUnavailable && refused.headers[.retryAfter] == "1")
            #expect(try refused.error.code == "shutting_down")
            let health = try await server.send(.get, "/health")
            #expect(health.status == .serviceUnavailable && health.text == #"{"status":"shutting down"}"#)
            #expect(try await answer.choices[0].text == expected.text)
            server.server.engine.join()
        }
    }

    @Test func shutdownEndsWhatTakesTooLong() async throws {
        try await TestServer.run { server in
            let task = Task { try await server.send(.post, "/v1/completions", "{\(TestServer.endless)}") }
            try await server.wait(for: "phi_texts_running", toBe: 8)
            server.server.engine.queue.close(by: .now + .milliseconds(100))
            let response = try await task.value
            #expect(try response.status == .serviceUnavailable && response.error.code == "shutting_down")
            server.server.engine.join()
        }
    }

    /// The engine by itself, without HTTP: the order of a sequence's events.
    @Test func eventsComeInOrder() async throws {
        var settings = BatchingSettings()
        settings.threads = 1
        let metrics = ServerMetrics(PrometheusRegistry())
        let engine = try EngineThread(#require(TestServer.model), settings, metrics)
        let options = try GenerationOptions(maximumTokens: 5, logProbabilities: 0)
        let request = SubmittedRequest(
            CompletionRequest(prompts: [[5, 6, 7, 8, 9, 10]], choices: 2, options, echoes: true))
        try engine.queue.submit(request)
        var kinds: [[String]] = [[], []]
        var usages: [SequenceUsage] = []
        for try await event in request.events {
            switch event {
            case .promptScored(let sequence, let scores):
                kinds[sequence].append("scored")
                #expect(scores.map(\.token) == [6, 7, 8, 9, 10])
            case .text(let sequence, _, let tokens):
                kinds[sequence].append("text")
                #expect(!tokens.isEmpty)
            case .end(let sequence, _, let usage, _):
                kinds[sequence].append("end")
                usages.append(usage)
            }
        }
        for kinds in kinds {
            #expect(kinds.first == "scored" && kinds.last == "end" && kinds.filter { $0 != "text" }.count == 2)
        }
        // The second choice reuses the prompt of the first, all but its last token.
        #expect(usages.map(\.reusedTokens) == [0, 5] && usages.allSatisfy { $0.promptTokens == 6 })
        engine.queue.close(by: .now)
        engine.join()
        let late = SubmittedRequest(CompletionRequest(prompts: [[5]]))
        #expect(throws: APIError.self) { try engine.queue.submit(late) }
    }
}

extension Speculation {
    /// Drafts of the served model by itself, which are accepted where the most likely token is chosen.
    fileprivate static var byItself: Speculation {
        var speculation = Speculation(policy: .fixed(4))
        speculation.draftModel = TestServer.model
        return speculation
    }
}
