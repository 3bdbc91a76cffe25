import Foundation
import PhiTestSupport
import Testing

extension ServerTests {
    /// Requests that the server must refuse, and how.
    @Suite struct RefusalTests {
        @Test func fieldsAreChecked() throws {
            let server = try ServerProcess("--max-texts", "8")
            let cases: [(String, String?, String)] = [
                ("", nil, "JSON"), ("[]", nil, "JSON"), ("{", nil, "JSON"), ("\"prompt\"", nil, "JSON"),
                (String(repeating: "[", count: 100_000), nil, "JSON"),
                (#"{"prompt":"\uD800"}"#, nil, "surrogate"), (#"{"prompt":"x",}"#, nil, "byte 14"),
                (#"{"prompt":"x","prompt":"y"}"#, nil, "twice"),
                ("{}", "prompt", "no prompt"), (#"{"prompt":null}"#, "prompt", "no prompt"),
                (#"{"prompt":5}"#, "prompt", "list"), (#"{"prompt":[]}"#, "prompt", "empty list"),
                (#"{"prompt":[true]}"#, "prompt", "list"), (#"{"prompt":["a",1]}"#, "prompt", "list"),
                (#"{"prompt":[-1]}"#, "prompt", "-1 is not a token"), (#"{"prompt":[300]}"#, "prompt", "0 to 299"),
                (#"{"prompt":[1e99]}"#, "prompt", "list"), (#"{"prompt":[[1],["a"]]}"#, "prompt", "list"),
                (#"{"prompt":["a","b","c"],"n":3}"#, "prompt", "more than the 8"),
                (#"{"prompt":"x","n":0}"#, "n", "1 to 8"), (#"{"prompt":"x","n":9}"#, "n", "1 to 8"),
                (#"{"prompt":"x","max_tokens":-1}"#, "max_tokens", "0 or more"),
                (#"{"prompt":"x","max_tokens":1.5}"#, "max_tokens", "number"),
                (#"{"prompt":"x","max_tokens":"5"}"#, "max_tokens", "number"),
                (#"{"prompt":"x","max_tokens":true}"#, "max_tokens", "number"),
                (#"{"prompt":"x","max_tokens":99999999999999999999}"#, "max_tokens", "number"),
                (#"{"prompt":"x","temperature":-0.1}"#, "temperature", "0 or more"),
                (#"{"prompt":"x","temperature":1e999}"#, "temperature", "number"),
                (#"{"prompt":"x","top_p":1.1}"#, "top_p", "0 to 1"),
                (#"{"prompt":"x","top_k":-2}"#, "top_k", "0 or more"),
                (#"{"prompt":"x","min_p":2}"#, "min_p", "0 to 1"),
                (#"{"prompt":"x","repeat_penalty":0}"#, "repeat_penalty", "above 0"),
                (#"{"prompt":"x","logprobs":21}"#, "logprobs", "0 to 20"),
                (#"{"prompt":"x","logprobs":true}"#, "logprobs", "0"),
                (#"{"prompt":"x","echo":1}"#, "echo", "true or false"),
                (#"{"prompt":"x","stream":"yes"}"#, "stream", "true"),
                (#"{"prompt":"x","stream_options":[]}"#, "stream_options", "object"),
                (#"{"prompt":"x","stop":""}"#, "stop", "empty"), (#"{"prompt":"x","stop":[1]}"#, "stop", "string"),
                (#"{"prompt":"x","stop":\#((0..<65).map(String.init))}"#, "stop", "64"),
                (#"{"prompt":"x","seed":1.5}"#, "seed", "whole"), (#"{"prompt":"x","seed":"1"}"#, "seed", "whole"),
                (#"{"prompt":"x","logit_bias":{"a":1}}"#, "logit_bias", "token id"),
                (#"{"prompt":"x","logit_bias":{"300":1}}"#, "logit_bias", "0 to 299"),
                (#"{"prompt":"x","logit_bias":{"5":101}}"#, "logit_bias", "-100 to 100"),
                (#"{"prompt":"x","logit_bias":[5]}"#, "logit_bias", "object"),
                (#"{"prompt":"x","best_of":9}"#, "best_of", "1 to 8"),
                (#"{"prompt":"x","suffix":"}"}"#, "suffix", "not supported"),
                (#"{"prompt":"x","presence_penalty":2.5}"#, "presence_penalty", "-2 to 2"),
                (#"{"prompt":"x","frequency_penalty":-3}"#, "frequency_penalty", "-2 to 2"),
                (#"{"prompt":"x","tools":[{}]}"#, "tools", "not supported"),
            ]
            for (body, param, word) in cases {
                let (status, error) = try server.refusal(body)
                let what = "\(body.prefix(80)): \(error)"
                #expect(status == 400 && error.type == "invalid_request_error", "\(what)")
                #expect(error.param == param, "\(what)")
                #expect(word.isEmpty || error.message.contains(word), "\(what)")
            }
            // What asks for nothing is not refused.
            let harmless = try server.complete([
                "prompt": "x", "max_tokens": 1, "best_of": 1, "suffix": "", "presence_penalty": 0,
                "frequency_penalty": 0,
                "user": "me", "logit_bias": [String: Int](), "stop": [String](), "stream": false, "logprobs": NSNull(),
            ])
            #expect(harmless.choices.count == 1 && harmless.warnings == nil)
            #expect(try server.complete(["prompt": "x", "max_tokens": 1, "zeta": 1]).warnings?.count == 1)
            let strict = try ServerProcess("--strict")
            #expect(try strict.refusal(#"{"prompt":"x","zeta":1}"#).error.param == "zeta")
        }

        @Test func pathsMethodsAndTypesAreChecked() throws {
            let server = try ServerProcess("--max-body", "1000")
            let good = #"{"prompt":"x","max_tokens":1}"#
            #expect(try server.request("GET", "/v1/nothing").status == 404)
            #expect(try server.request("GET", "/v1/completions").status == 405)
            #expect(try server.request("POST", "/health", good).status == 405)
            #expect(
                try server.request("POST", "/v1/completions", good, headers: ["Content-Type": "text/plain"]).status
                    == 415)
            let charset = ["Content-Type": "application/json; charset=utf-8"]
            #expect(try server.request("POST", "/v1/completions", good, headers: charset).status == 200)
            let (status, error) = try server.refusal(#"{"prompt":"\#(String(repeating: "x", count: 2000))"}"#)
            #expect(status == 413 && error.code == "body_too_large")
            let (missing, other) = try server.refusal(#"{"model":"gpt-4","prompt":"x"}"#)
            #expect(missing == 404 && other.code == "model_not_found" && other.message.contains("speaker.q4"))
            for path in ["/v1/chat/completions", "/v1/responses"] {
                let (status, error) = try server.refusal(#"{"messages":[]}"#, path: path)
                #expect(status == 404 && error.message.contains("not chat models"))
            }
            #expect(try server.request("GET", "/v1/models/speaker.q4").status == 200)
            #expect(try server.request("GET", "/v1/models/other").status == 404)
            // A body in pieces that grows too long, and one that is no HTTP.
            let connection = try server.connect()
            try connection.send(
                "POST", "/v1/completions", nil,
                headers: [
                    "Content-Type": "application/json", "Transfer-Encoding": "chunked",
                ])
            for _ in 0..<3 { try connection.send("200\r\n\(String(repeating: "x", count: 512))\r\n") }
            try connection.send("0\r\n\r\n")
            #expect(try connection.readAnswer().status == 413)
            let garbage = try server.connect()
            try garbage.send("NOT HTTP AT ALL\r\n\r\n")
            #expect(try garbage.readHead().status == 400)
            #expect(try server.request("GET", "/health").text == #"{"status":"ok"}"#)
        }

        @Test func keysAreWanted() throws {
            let folder = try TemporaryFolder()
            let keys = try folder.write("keys", "# keys of the tests\n\nfirst-key\n  # not-a-key\r\n  second-key  \n")
            let server = try ServerProcess(
                "--api-key-file", keys, path: Models.path(), environment: ["PHI_SERVER_API_KEY": "third-key"])
            let body = #"{"prompt":"x","max_tokens":1}"#
            for header in [
                nil, "first-key", "Bearer ", "Bearer first-ke", "Bearer first-key2", "Basic first-key",
                "Bearer # not-a-key",
            ] {
                let headers = header.map { ["Authorization": $0] } ?? [:]
                let answer = try server.request("POST", "/v1/completions", body, headers: headers)
                #expect(answer.status == 401 && answer.head.headers["www-authenticate"] == "Bearer")
                #expect(try answer.json(ErrorAnswer.self).error.code == "invalid_api_key")
            }
            for key in ["first-key", "second-key", "third-key"] {
                let headers = ["Authorization": "Bearer \(key)"]
                #expect(try server.request("POST", "/v1/completions", body, headers: headers).status == 200)
                #expect(try server.request("GET", "/metrics", headers: headers).status == 200)
            }
            #expect(try server.request("GET", "/metrics").status == 401)
            #expect(try server.request("GET", "/v1/nothing").status == 401)
            #expect(try server.request("GET", "/health").status == 200)
            #expect(try server.request("GET", "/").status == 200)
            #expect(try !server.end().errorText.contains("-key"), "keys are not logged")
        }

        @Test func badArgumentsAreRefused() throws {
            for arguments in [
                ["--port", "70000"], ["--parallel", "65"], ["--parallel", "0"], ["--queue", "0"], ["--timeout", "0"],
                ["--log-format", "xml"], ["--log-level", "loud"], ["--context", "0"], ["extra"],
                ["--allow-origin", "example.com"], ["--allow-host", "http://a"], ["--cache-dir-limit", "1"],
                ["--max-connections", "1"],
            ] {
                let outcome = try ServerProcess.outcome(arguments)
                expectWrongUsage(outcome, arguments[0])
            }
            let folder = try TemporaryFolder()
            let empty = try folder.write("keys", "# none\n")
            let broken = try folder.write("broken", "\u{FEFF}key\n")
            for variable in ["", " "] {
                let outcome = try ServerProcess.outcome(
                    ["--port", "0"], environment: ["PHI_SERVER_API_KEY": variable])
                #expect(outcome.status == 1 && outcome.errorText == "phi-server: PHI_SERVER_API_KEY: has no key\n")
            }
            let notAModel = try folder.write("model.phi", "no")
            let taken = try ServerProcess()
            for (arguments, word) in [
                (["-m", "nowhere.phi"], "nowhere.phi"), (["-m", notAModel], "model.phi"),
                (["--api-key-file", empty], "no key"), (["--api-key-file", broken], "visible ones of ASCII"),
                (["--host", "no-such-name.invalid"], "--host no-such-name.invalid: is no address"),
                (["--context", "999999"], "999999"), (["--port", "\(taken.port)"], "127.0.0.1:\(taken.port): "),
            ] {
                let outcome = try ServerProcess.outcome(arguments)
                #expect(outcome.status == 1 && outcome.output.isEmpty, "\(arguments)")
                let error = outcome.errorText
                #expect(error.hasPrefix("phi-server: ") && error.contains(word), "\(error)")
                #expect(error.filter(\.isNewline).count == 1, "\(error)")
            }
        }
    }
}
