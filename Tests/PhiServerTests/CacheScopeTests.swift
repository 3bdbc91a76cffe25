import HTTPTypes
import PhiFormat
import PhiServer
import PhiTestSupport
import Synchronization
import Testing

/// What a client can learn of other clients' prompts: nothing.
struct CacheScopeTests {
    private static let prompt = #""prompt":"a secret prompt of many tokens","max_tokens":1,"temperature":0"#

    private func cached(_ server: TestServer, _ fields: String = "", key: String? = nil) async throws -> Int {
        let headers = key.map { [HTTPField.Name.authorization: "Bearer " + $0] } ?? [:]
        let response = try await server.send(
            .post, "/v1/completions", "{\(Self.prompt)\(fields)}", headers: headers)
        try #require(response.status == .ok, "\(response.text)")
        return try #require(try response.json(CompletionAnswer.self).usage).prompt_tokens_details.cached_tokens
    }

    @Test func keysHavePrefixesOfTheirOwn() async throws {
        try await TestServer.run({ $0.apiKeys = ["first", "second"] }) { server in
            for (key, isKnown) in [("first", false), ("second", false), ("first", true), ("second", true)] {
                let count = try await cached(server, key: key)
                #expect(isKnown ? count > 4 : count == 0, "\(key)")
            }
        }
    }

    @Test func saltsKeepPrefixesApart() async throws {
        try await TestServer.run { server in
            #expect(try await cached(server) == 0)
            #expect(try await cached(server) > 4)
            for salt in [#","cache_salt":"x""#, #","extra_key":"x""#, #","cache_salt":"x","extra_key":"y""#] {
                #expect(try await cached(server, salt) == 0, "\(salt)")
                #expect(try await cached(server, salt) > 4, "\(salt)")
            }
            for none in [#","cache_salt":null"#, #","cache_salt":"","extra_key":null"#] {
                #expect(try await cached(server, none) > 4, "\(none)")
            }
            let wrong = try await server.send(.post, "/v1/completions", #"{"prompt":"x","cache_salt":5}"#)
            #expect(try wrong.status == .badRequest && wrong.error.param == "cache_salt")
        }
    }

    @Test func aRestartChangesNothingButTheTime() async throws {
        let folder = try TemporaryFolder()
        let prompt = String(repeating: "def f(x): return x ", count: 20)
        let long = #"{"prompt":"\#(prompt)","max_tokens":5,"temperature":0}"#
        let texts = Mutex<[String]>([])
        for (number, key) in ["first", "first", "second"].enumerated() {
            try await TestServer.run({
                $0.apiKeys = ["first", "second"]
                $0.batching.prefixDirectory = FilePath(folder.at("prefixes"))
            }) { server in
                let response = try await server.send(
                    .post, "/v1/completions", long, headers: [.authorization: "Bearer " + key])
                let answer = try response.json(CompletionAnswer.self)
                let cached = answer.usage?.prompt_tokens_details.cached_tokens ?? -1
                if number == 1 { #expect(cached > 64) } else { #expect(cached == 0) }
                texts.withLock { $0.append(answer.choices[0].text) }
            }
        }
        #expect(texts.withLock { Set($0).count } == 1)
    }
}
