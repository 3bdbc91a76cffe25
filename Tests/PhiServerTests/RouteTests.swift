import HTTPTypes
import PhiServer
import PhiTestSupport
import Testing

/// Paths, methods, keys and the small endpoints.
struct RouteTests {
    private static let completion = #"{"prompt":"x","max_tokens":1}"#

    @Test func everyRouteHasItsMethods() async throws {
        try await TestServer.run { server in
            for (path, allow, body) in [
                ("/", "GET, HEAD", nil), ("/health", "GET, HEAD", nil), ("/metrics", "GET, HEAD", nil),
                ("/v1/models", "GET, HEAD", nil), ("/v1/models/small", "GET, HEAD", nil),
                ("/v1/completions", "POST", Self.completion), ("/tokenize", "POST", #"{"content":"x"}"#),
                ("/detokenize", "POST", #"{"tokens":[1]}"#), ("/completion", "POST", Self.completion),
                ("/props", "GET, HEAD", nil), ("/slots", "GET, HEAD", nil),
            ] as [(String, String, String?)] {
                let response = try await server.send(body == nil ? .get : .post, path, body)
                #expect(response.status == .ok, "\(path)")
                for method in [.get, .head, .post, .put, .delete, .options, .patch] as [HTTPRequest.Method]
                where !allow.contains(method.rawValue) {
                    let refused = try await server.send(method, path, "{}")
                    #expect(refused.status == .methodNotAllowed, "\(method) \(path)")
                    #expect(refused.headers[.allow] == allow, "\(method) \(path)")
                    if method != .head { #expect(try refused.error.code == "method_not_allowed") }
                }
            }
        }
    }

    @Test func headHasTheHeadersOfGetAndNoBody() async throws {
        try await TestServer.run { server in
            for path in ["/", "/health", "/v1/models", "/nothing", "/tokenize"] {
                let get = try await server.send(.get, path)
                let head = try await server.send(.head, path)
                #expect(head.status == get.status && head.body.readableBytes == 0, "\(path)")
                #expect(head.headers[.contentLength] == "\(get.body.readableBytes)", "\(path)")
                #expect(head.headers[.contentType] == get.headers[.contentType], "\(path)")
            }
            #expect(server.metric(#"phi_http_requests_total{path="/health",status="200"}"#) == 2)
        }
    }

    @Test func unknownPathsAreErrorsInOpenAIsShape() async throws {
        try await TestServer.run { server in
            for path in [
                "/nothing", "/v1", "/v1/completions/x", "/health/x", "/v1/models/gpt-4", "/v1/models/a/b",
                "/v1/models/%zz",
            ] {
                let response = try await server.send(.get, path)
                #expect(response.status == .notFound, "\(path)")
                #expect(try response.error.type == "invalid_request_error", "\(path)")
            }
            #expect(server.metric(#"phi_http_requests_total{path="other",status="404"}"#) == 4)
            for path in ["/v1/chat/completions", "/v1/responses"] {
                let response = try await server.send(.post, path, #"{"messages":[]}"#)
                #expect(try response.status == .notFound && response.error.code == "not_a_chat_model")
            }
        }
    }

    @Test func keysAreRequiredWhereTheyProtect() async throws {
        try await TestServer.run({ $0.apiKeys = ["first", "second"] }) { server in
            for path in ["/v1/completions", "/metrics", "/nothing", "/v1/models"] {
                for key in [nil, "first", "Bearer ", "Bearer firs", "Bearer first2", "Basic first"] {
                    let headers = key.map { [HTTPField.Name.authorization: $0] } ?? [:]
                    let method: HTTPRequest.Method = path == "/v1/completions" ? .post : .get
                    let response = try await server.send(method, path, Self.completion, headers: headers)
                    #expect(response.status == .unauthorized && response.headers[.wwwAuthenticate] == "Bearer")
                    #expect(try response.error.code == "invalid_api_key")
                }
            }
            let headers = [HTTPField.Name.authorization: "Bearer second"]
            #expect(try await server.send(.post, "/v1/completions", Self.completion, headers: headers).status == .ok)
            #expect(try await server.send(.get, "/metrics", headers: headers).status == .ok)
            #expect(try await server.send(.get, "/").status == .ok)
            #expect(try await server.send(.get, "/health").status == .ok)
        }
    }

    @Test func requestIdsAreGivenOrTaken() async throws {
        try await TestServer.run { server in
            func id(_ given: String) async throws -> String? {
                try await server.send(.get, "/health", headers: [.requestID: given]).headers[.requestID]
            }
            #expect(try await id("given-request_1.x") == "given-request_1.x")
            for wrong in ["short", "with blank", "quote\"quote", "umlaut-äöü", String(repeating: "x", count: 129)] {
                #expect(try await id(wrong)?.count == 32, "\(wrong)")
            }
            let answer = try await server.send(
                .post, "/v1/completions", Self.completion, headers: [.requestID: "given-request"]
            )
            #expect(try answer.json(CompletionAnswer.self).id == "cmpl-given-request")
        }
    }

    @Test func textIsTokenizedAndBack() async throws {
        struct Tokens: Decodable {
            let tokens: [Int32]
            let count: Int
            let max_model_len: Int
        }
        try await TestServer.run { server in
            for field in ["content", "prompt"] {
                let response = try await server.send(.post, "/tokenize", #"{"\#(field)":"def f(x):"}"#)
                let tokens = try response.json(Tokens.self)
                #expect(tokens.tokens == TestServer.model?.tokenizer.encode("def f(x):"))
                #expect(tokens.count == tokens.tokens.count && tokens.max_model_len == 1024)
                let text = try await server.send(.post, "/detokenize", #"{"tokens":\#(tokens.tokens)}"#).text
                #expect(text == #"{"content":"def f(x):","prompt":"def f(x):"}"#)
            }
            for (path, body, param) in [
                ("/tokenize", "{}", "content"), ("/tokenize", #"{"content":5}"#, "content"),
                ("/tokenize", #"{"content":"x","add_special":5}"#, "add_special"), ("/detokenize", "{}", "tokens"),
                ("/detokenize", #"{"tokens":[2048]}"#, "tokens"), ("/detokenize", #"{"tokens":"x"}"#, "tokens"),
            ] {
                let response = try await server.send(.post, path, body)
                #expect(try response.status == .badRequest && response.error.param == param, "\(path) \(body)")
            }
        }
    }

    @Test func bodiesAreLimitedAndJSON() async throws {
        try await TestServer.run({ $0.limits.bodyBytes = 1000 }) { server in
            for path in ["/v1/completions", "/tokenize", "/detokenize"] {
                let long = #"{"prompt":"\#(String(repeating: "x", count: 2000))"}"#
                let tooLong = try await server.send(.post, path, long)
                #expect(try tooLong.status == .contentTooLarge && tooLong.error.code == "body_too_large")
                let text = try await server.send(.post, path, Self.completion, headers: [.contentType: "text/plain"])
                #expect(text.status == .unsupportedMediaType)
            }
            let charset: [HTTPField.Name: String] = [.contentType: "application/json; charset=utf-8"]
            #expect(try await server.send(.post, "/v1/completions", Self.completion, headers: charset).status == .ok)
        }
    }
}
