import HTTPTypes
import PhiServer
import PhiTestSupport
import Testing

/// The fields that clients send, taken from their sources in November 2026, with values of the kinds that they have.
struct ClientBodyTests {
    struct Client: CustomTestStringConvertible, Sendable {
        let name: String
        let path: String
        let body: String
        var code: String?
        var testDescription: String { name }
    }

    static let clients = [
        // continuedev/continue, core/llm/llms/LlamaCpp.ts; absent options are left out.
        Client(
            name: "Continue, llama.cpp", path: "/completion",
            body: #"""
                {"prompt":"def f(","stream":true,"n_predict":8,"frequency_penalty":0,"presence_penalty":0,"min_p":0.05,"mirostat":0,
                "stop":["\ndef ","\nclass ","\"\"\"#","<fim_prefix>","/src/"],"top_k":40,"top_p":0.95,"temperature":0.01}
                """#),
        // TabbyML/tabby, crates/http-api-bindings/src/completion: llama.rs, openai.rs.
        Client(
            name: "Tabby, llama.cpp/completion", path: "/completion",
            body: #"""
                {"seed":123456789,"prompt":"def f(","n_predict":8,"temperature":0.1,"stream":true,"penalty_last_n":0,
                "presence_penalty":0.0}
                """#),
        Client(
            name: "Tabby, openai/completion", path: "/v1/completions",
            body: #"""
                {"model":"small","prompt":"def f(","suffix":null,"max_tokens":8,"temperature":0.1,"stream":true,
                "presence_penalty":0.0}
                """#),
        // milanglacier/minuet-ai.nvim, lua/minuet/backends/openai_base.lua; a template without a suffix.
        Client(
            name: "minuet", path: "/v1/completions",
            body: #"{"model":"small","stream":true,"max_tokens":8,"top_p":0.9,"stop":["\n\n"],"prompt":"def f("}"#),
        Client(
            name: "minuet with a suffix", path: "/v1/completions",
            body: #"{"model":"small","stream":true,"max_tokens":8,"prompt":"def f(","suffix":"\n    return x"}"#,
            code: "suffix"),
        // ggml-org/llama.vim, autoload/llama.vim.
        Client(
            name: "llama.vim", path: "/infill",
            body: #"""
                {"id_slot":0,"input_prefix":"a\n","input_suffix":"b\n","input_extra":[{"text":"c","time":1,"filename":"d"}],
                "prompt":"def f(","n_predict":128,"stop":[],"n_indent":4,"top_k":40,"top_p":0.9,
                "samplers":["top_k","top_p","infill"],"stream":false,"cache_prompt":true,"t_max_prompt_ms":500,
                "t_max_predict_ms":1000,"response_fields":["content","timings/prompt_n"]}
                """#, code: "infill_not_supported"),
        // vllm-project/guidellm, src/guidellm/backends/openai/request_handlers.py.
        Client(
            name: "guidellm", path: "/v1/completions",
            body: #"""
                {"model":"small","stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true},
                "max_tokens":8,"stop":null,"ignore_eos":true,"prompt":"def f("}
                """#),
        // vllm-project/vllm, vllm/benchmarks/lib/endpoint_request_func.py.
        Client(
            name: "vllm bench serve", path: "/v1/completions",
            body: #"""
                {"model":"small","prompt":"def f(","repetition_penalty":1.0,"max_tokens":8,"logprobs":null,"stream":true,
                "stream_options":{"include_usage":true},"ignore_eos":true,"temperature":0.0,"top_k":-1,"min_p":0.0,"top_p":1.0}
                """#),
        // sgl-project/sglang, python/sglang/bench_serving.py, backends sglang-oai and vllm.
        Client(
            name: "sglang.bench_serving", path: "/v1/completions",
            body: #"""
                {"model":"small","prompt":"def f(","temperature":0.0,"best_of":1,"max_tokens":8,"stream":true,
                "ignore_eos":true}
                """#),
        // BerriAI/litellm, litellm/llms/openai/completion; the provider hosted_vllm.
        Client(
            name: "LiteLLM", path: "/v1/completions",
            body:
                #"{"model":"small","prompt":"def f(","max_tokens":8,"temperature":0.2,"n":1,"stream":false,"user":""}"#),
        // open-webui/open-webui speaks chat only, which phi is not trained for.
        Client(
            name: "Open WebUI", path: "/v1/chat/completions",
            body: #"{"model":"small","messages":[{"role":"user","content":"x"}],"stream":true,"stream_options":{}}"#,
            code: "not_a_chat_model"),
    ]

    @Test(arguments: clients) func everyClientConnects(_ client: Client) async throws {
        try await TestServer.run { server in
            let response = try await server.send(.post, client.path, client.body)
            if let code = client.code {
                let error = try response.error
                #expect((error.code ?? error.param) == code, "\(error)")
                return
            }
            #expect(response.status == .ok, "\(response.text)")
            #expect(!response.text.contains("error") && response.body.readableBytes > 100)
            let hasWarning = response.text.contains("warnings")
            #expect(hasWarning == client.body.contains("penalty_last_n"), "\(response.text.prefix(300))")
            if client.body.contains("ignore_eos"), client.body.contains("include_usage") {
                #expect(response.text.contains(#""completion_tokens":8"#))
            }
        }
    }

    /// As OpenAI's: the last event alone has a usage, the others null.
    @Test func usageIsNullUntilTheEnd() async throws {
        try await TestServer.run { server in
            let fields = #""prompt":"x","max_tokens":5,"ignore_eos":true,"stream":true"#
            let text = try await server.send(
                .post, "/v1/completions", #"{\#(fields),"stream_options":{"include_usage":true}}"#
            ).text
            let events = text.split(separator: "\n\n").dropLast()
            #expect(events.dropLast().allSatisfy { $0.contains(#""usage":null"#) } && events.count > 2)
            #expect(
                events.last?.contains(#""choices":[]"#) == true && events.last?.contains(#""total_tokens":6"#) == true)
            let plain = try await server.send(.post, "/v1/completions", "{\(fields)}").text
            #expect(!plain.contains("usage"))
        }
    }
}
