import HTTPTypes
import PhiServer
import Testing

/// Bodies of `/v1/completions` that are refused, with the field at fault and a word of the message.
struct CompletionRequestTests {
    private static let bodies: [(String, String?, String)] = [
        ("", nil, "JSON"), ("[]", nil, "JSON"), ("{", nil, "JSON"), ("\"prompt\"", nil, "JSON"), ("null", nil, "JSON"),
        (String(repeating: "[", count: 100_000), nil, "JSON"), (#"{"prompt":"\uD800"}"#, nil, "surrogate"),
        ("{}", "prompt", "no prompt"), (#"{"prompt":null}"#, "prompt", "no prompt"),
        (#"{"prompt":5}"#, "prompt", "list"), (#"{"prompt":[]}"#, "prompt", "empty list"),
        (#"{"prompt":[true]}"#, "prompt", "list"), (#"{"prompt":["a",1]}"#, "prompt", "list"),
        (#"{"prompt":[-1]}"#, "prompt", "-1 is not a token"), (#"{"prompt":[2048]}"#, "prompt", "0 to 2047"),
        (#"{"prompt":["a","b","c"],"n":3}"#, "prompt", "more than the 8"), (#"{"prompt":"x","n":0}"#, "n", "1 to 8"),
        (#"{"prompt":"x","n":9}"#, "n", "1 to 8"), (#"{"prompt":"x","model":"gpt"}"#, "model", "small only"),
        (#"{"prompt":"x","max_tokens":-1}"#, "max_tokens", "0 or more"),
        (#"{"prompt":"x","max_tokens":5,"n_predict":6}"#, "n_predict", "max_tokens and n_predict differ"),
        (#"{"prompt":"x","n_predict":-2}"#, "n_predict", "0 or more"),
        (#"{"prompt":"x","min_tokens":5,"max_tokens":4}"#, "min_tokens", "0 to 4"),
        (#"{"prompt":"x","max_tokens":1.5}"#, "max_tokens", "number"),
        (#"{"prompt":"x","max_tokens":true}"#, "max_tokens", "number"),
        (#"{"prompt":"x","temperature":-0.1}"#, "temperature", "0 or more"),
        (#"{"prompt":"x","temperature":1e999}"#, "temperature", "number"),
        (#"{"prompt":"x","top_p":1.1}"#, "top_p", "0 to 1"), (#"{"prompt":"x","min_p":2}"#, "min_p", "0 to 1"),
        (#"{"prompt":"x","top_k":-2}"#, "top_k", "0 or more"), (#"{"prompt":"x","top_k":1.5}"#, "top_k", "whole"),
        (#"{"prompt":"x","repeat_penalty":0}"#, "repeat_penalty", "above 0"),
        (#"{"prompt":"x","logprobs":21}"#, "logprobs", "0 to 20"),
        (#"{"prompt":"x","echo":1}"#, "echo", "true or false"),
        (#"{"prompt":"x","stream":"yes"}"#, "stream", "true"),
        (#"{"prompt":"x","stream_options":[]}"#, "stream_options", "object"),
        (#"{"prompt":"x","stream_options":{"include_usage":1}}"#, "stream_options", "object"),
        (#"{"prompt":"x","stop_token_ids":[2048]}"#, "stop_token_ids", "0 to 2047"),
        (#"{"prompt":"x","repeat_penalty":1.1,"repetition_penalty":1.2}"#, "repetition_penalty", "differ"),
        (#"{"prompt":"x","repetition_penalty":1.1,"repeat_last_n":64}"#, "repeat_last_n", "whole sequence"),
        (#"{"prompt":"x","stop":""}"#, "stop", "empty"), (#"{"prompt":"x","stop":[1]}"#, "stop", "string"),
        (#"{"prompt":"x","stop":[\#(Array(repeating: "\"a\"", count: 65).joined(separator: ","))]}"#, "stop", "64"),
        (#"{"prompt":"x","seed":1.5}"#, "seed", "whole"), (#"{"prompt":"x","seed":"1"}"#, "seed", "whole"),
        (#"{"prompt":"x","logit_bias":{"a":1}}"#, "logit_bias", "token id"),
        (#"{"prompt":"x","logit_bias":{"2048":1}}"#, "logit_bias", "0 to 2047"),
        (#"{"prompt":"x","logit_bias":{"5":101}}"#, "logit_bias", "-100 to 100"),
        (#"{"prompt":"x","best_of":1,"n":2}"#, "best_of", "2 to 8"),
        (#"{"prompt":"x","n_cmpl":500}"#, "n_cmpl", "n_cmpl is 500, not"),
        (#"{"prompt":["a","b","c"],"n_cmpl":3}"#, "prompt", "3 prompts times n_cmpl = 3"),
        (#"{"prompt":"x","best_of":2,"stream":true}"#, "best_of", "streams"),
        (#"{"prompt":["x","y","z"],"best_of":3}"#, "prompt", "best_of = 3"),
        (#"{"prompt":"x","suffix":"}"}"#, "suffix", "not supported"),
        (#"{"prompt":"x","n":8,"max_tokens":1000,"logprobs":20}"#, "logprobs", "168000"),
        (#"{"prompt":"x","presence_penalty":2.5}"#, "presence_penalty", "-2 to 2"),
        (#"{"prompt":"x","frequency_penalty":-3}"#, "frequency_penalty", "-2 to 2"),
    ]

    @Test func faultsNameTheirField() async throws {
        try await TestServer.run({
            $0.limits.sequences = 8
            $0.limits.logProbabilitiesInAll = 100_000
        }) { server in
            for (body, param, word) in Self.bodies {
                let response = try await server.send(.post, "/v1/completions", body)
                let error = try response.error
                #expect(response.status == (param == "model" ? .notFound : .badRequest), "\(body.prefix(80))")
                #expect(error.type == "invalid_request_error" && error.param == param, "\(body.prefix(80)): \(error)")
                #expect(error.message.contains(word), "\(body.prefix(80)): \(error)")
            }
            #expect(server.metric("phi_steps_total") == 0)
        }
    }

    @Test func promptsMustFitTheContext() async throws {
        try await TestServer.run({ $0.batching.context = 64 }) { server in
            for prompt in ["\"\(String(repeating: "a b ", count: 60))\"", "\(Array(repeating: 5, count: 65))"] {
                let response = try await server.send(.post, "/v1/completions", #"{"prompt":\#(prompt)}"#)
                #expect(try response.error.code == "context_length_exceeded" && response.error.param == "prompt")
            }
            let full = #""prompt":\#(Array(repeating: 5, count: 64)),"max_tokens":5,"logit_bias":{"2047":-100}"#
            let answer = try await server.complete(full)
            #expect(answer.usage?.completion_tokens == 1 && answer.choices[0].finish_reason == "length")
        }
    }

    @Test func fieldsWithoutEffectAreAccepted() async throws {
        try await TestServer.run { server in
            let answer = try await server.complete(
                #""prompt":"x","max_tokens":1,"best_of":1,"suffix":"","presence_penalty":0,"frequency_penalty":0,"#
                    + #""user":"me","logit_bias":{},"stop":[],"stream":false,"logprobs":null,"top_k":0,"seed":-1"#)
            #expect(answer.choices.count == 1 && answer.model == "small" && answer.warnings == nil)
        }
    }
}
