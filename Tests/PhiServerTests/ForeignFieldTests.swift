import PhiServer
import PhiTestSupport
import Testing

/// Fields of other servers' requests.
struct ForeignFieldTests {
    private static let start = #""prompt":"def f(x):\n","max_tokens":4,"temperature":0"#

    /// What clients send by themselves.
    private static let neutral = [
        #""repetition_penalty":1.0"#, #""ignore_eos":false"#, #""top_k":-1"#, #""min_tokens":0"#,
        #""use_beam_search":false"#,
        #""stop_token_ids":[]"#, #""skip_special_tokens":true"#, #""add_special_tokens":true"#, #""cache_prompt":true"#,
        #""metadata":{}"#, #""store":false"#, #""best_of":1"#, #""suffix":null"#, #""max_completion_tokens":4"#,
        #""stream":false,"stream_options":{"include_usage":true}"#, #""keep_alive":"5m""#,
        #""truncate_prompt_tokens":null"#,
        #""echo":null"#, #""logprobs":false"#, #""n":1,"best_of":null"#, #""response_format":{"type":"text"}"#,
        #""tools":[]"#,
        #""tool_choice":"auto""#, #""guided_json":null"#, #""grammar":"""#, #""mirostat":0,"mirostat_tau":5.0"#,
        #""typical_p":1"#,
        #""service_tier":"auto""#, #""logit_bias":[]"#, #""never_heard_of":null"#, #""repeat_last_n":64"#,
        #""n_predict":4"#,
        #""xtc_probability":0.0"#, #""dry_multiplier":0"#, #""frequency_penalty":0,"presence_penalty":0.0"#,
        #""max_tokens":null"#,
    ]

    @Test func whatChangesNothingIsAccepted() async throws {
        try await TestServer.run { server in
            let expected = try await server.complete(Self.start)
            for field in Self.neutral {
                let isLength = field.contains("max_tokens")
                let fields = isLength ? Self.start.replacing(#""max_tokens":4"#, with: field) : Self.start + "," + field
                let answer = try await server.complete(fields)
                #expect(answer.warnings == nil, "\(field)")
                if !isLength { #expect(answer.choices[0].text == expected.choices[0].text, "\(field)") }
            }
        }
    }

    @Test(arguments: [
        (#""suffix":"}""#, "suffix"), (#""grammar":"root ::= x""#, "grammar"),
        (#""guided_grammar":"root ::= x""#, "guided_grammar"), (#""ebnf":"root ::= x""#, "ebnf"),
        (#""guided_whitespace_pattern":" ""#, "guided_whitespace_pattern"), (#""tools":[{}]"#, "tools"),
        (#""messages":[]"#, "messages"), (#""logits_processors":["x"]"#, "logits_processors"),
        (#""custom_logit_processor":"x""#, "custom_logit_processor"), (#""bad_words":["x"]"#, "bad_words"),
        (#""use_beam_search":true"#, "use_beam_search"), (#""mirostat":2"#, "mirostat"),
        (#""typical_p":0.9"#, "typical_p"),
        (#""samplers":["top_k"]"#, "samplers"),
        (#""skip_special_tokens":false"#, "skip_special_tokens"),
        (#""truncate_prompt_tokens":5"#, "truncate_prompt_tokens"), (#""lora":[{"id":0}]"#, "lora"),
        (#""include_stop_str_in_output":true"#, "include_stop_str_in_output"),
        (#""prompt_logprobs":1"#, "prompt_logprobs"),
    ])
    func whatWouldChangeTheTextIsRefused(_ field: String, _ name: String) async throws {
        try await TestServer.run { server in
            for path in ["/v1/completions", "/completion"] {
                let response = try await server.send(.post, path, #"{"prompt":"x",\#(field)}"#)
                let error = try response.error
                #expect(response.status == .badRequest && error.param == name, "\(error)")
                #expect(error.message.contains("not supported: "), "\(error)")
            }
        }
    }

    @Test func unknownFieldsAreToldOrRefused() async throws {
        let fields = Self.start + #","zeta":1,"a\nb":[2]"#
        let warnings = ["unknown field a?b is not used", "unknown field zeta is not used"]
        try await TestServer.run { server in
            #expect(try await server.complete(fields).warnings == warnings)
            let (events, _) = try await server.stream(fields)
            #expect(events.first?.warnings == warnings && events.dropFirst().allSatisfy { $0.warnings == nil })
            let llama = try await server.send(.post, "/completion", "{\(fields)}")
            #expect(llama.text.contains(#""warnings":["unknown field a?b"#))
            #expect(try await server.send(.post, "/tokenize", #"{"content":"x","y":1}"#).text.contains("field y"))
            #expect(try await server.send(.post, "/detokenize", #"{"tokens":[5],"y":1}"#).text.contains("field y"))
        }
        try await TestServer.run({ $0.limits.isStrict = true }) { server in
            for (path, body) in [
                ("/v1/completions", #"{"prompt":"x","y":1}"#), ("/completion", #"{"prompt":"x","y":1}"#),
                ("/tokenize", #"{"content":"x","y":1}"#), ("/detokenize", #"{"tokens":[5],"y":1}"#),
            ] {
                let response = try await server.send(.post, path, body)
                #expect(try response.status == .badRequest && response.error.param == "y", "\(path)")
            }
            #expect(try await server.complete(Self.start + #","user":"me","y":null"#).choices.count == 1)
        }
    }
}
