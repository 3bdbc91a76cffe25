import Foundation
import Phi
import PhiServer
import PhiTestSupport
import Synchronization
import Testing

/// Requests that constrain the text, as clients write them.
struct ConstraintFieldTests {
    private static let start = #""prompt":"def f(x):\n","max_tokens":200"#
    private static let schema = #"""
        {"type":"object","properties":{"name":{"enum":["Ann","Bob"]},"age":{"type":"integer","minimum":0,"maximum":120},
        "tags":{"type":"array","items":{"type":"string","maxLength":3},"maxItems":2}},"required":["name","age","tags"],
        "additionalProperties":false}
        """#.replacing("\n", with: "")
    private static let quoted = schema.replacing("\"", with: "\\\"")

    private struct Person: Decodable {
        let name: String
        let age: Int
        let tags: [String]
    }

    /// vLLM's, the openai client's `beta` helper's, SGLang's and llama-server's forms.
    @Test(arguments: [
        #""guided_json":\#(schema)"#, #""guided_json":"\#(quoted)""#, #""structured_outputs":{"json":\#(schema)}"#,
        #""structured_outputs":{"json":\#(schema),"regex":null,"disable_any_whitespace":false,"whitespace_pattern":null}"#,
        #""response_format":{"type":"json_schema","json_schema":{"name":"Person","strict":true,"schema":\#(schema)}}"#,
        #""response_format":{"type":"json_object","schema":\#(schema)}"#, #""json_schema":\#(schema),"grammar":"""#,
        #""json_schema":"\#(quoted)","regex":null"#, #""guided_json":\#(schema),"response_format":{"type":"text"}"#,
    ])
    func schemasHold(_ field: String) async throws {
        try await TestServer.run { server in
            var texts: [String] = []
            for sampling in [#""temperature":0"#, #""temperature":1,"seed":5,"n":4"#] {
                let answer = try await server.complete("\(Self.start),\(sampling),\(field)")
                #expect(answer.warnings == nil)
                for choice in answer.choices {
                    let person = try JSONDecoder().decode(Person.self, from: Data(choice.text.utf8))
                    #expect(["Ann", "Bob"].contains(person.name) && (0...120).contains(person.age))
                    #expect(person.tags.count <= 2 && choice.finish_reason == "stop")
                    texts.append(choice.text)
                }
            }
            // The same as the library's.
            let session = try Session(#require(TestServer.model), threads: 1)
            let options = try GenerationOptions(maximumTokens: 200, constraint: .jsonSchema(Self.schema))
            #expect(try session.complete("def f(x):\n", options).text == texts[0])
            let (events, _) = try await server.stream("\(Self.start),\"temperature\":0,\(field)")
            #expect(events.compactMap(\.choices.first?.text).joined() == texts[0])
            let llama = try await server.send(.post, "/completion", "{\(Self.start),\"temperature\":0,\(field)}")
            #expect(llama.text.contains(#""stop_type":"eos""#))
        }
    }

    @Test func expressionsAndChoicesHold() async throws {
        try await TestServer.run { server in
            for field in [
                #""guided_regex":"^[0-9]{3}-[a-f]{1,9};$""#, #""regex":"[0-9]{3}-[a-f]{1,9};""#,
                #""structured_outputs":{"regex":"[0-9]{3}-[a-f]{1,20};"}"#,
            ] {
                let text = try await server.complete("\(Self.start),\"temperature\":1,\"seed\":1,\(field)").choices[0]
                    .text
                #expect(text.wholeMatch(of: /[0-9]{3}-[a-f]+;/) != nil, "\(text)")
            }
            for field in [
                #""guided_choice":["positive","negative"]"#,
                #""structured_outputs":{"choice":["positive","negative"]}"#,
            ] {
                let answer = try await server.complete("\(Self.start),\"logprobs\":2,\(field)")
                #expect(["positive", "negative"].contains(answer.choices[0].text))
                #expect(answer.choices[0].logprobs?.tokens.joined() == answer.choices[0].text)
            }
            for field in [#""response_format":{"type":"json_object"}"#, #""structured_outputs":{"json_object":true}"#] {
                let answer = try await server.complete(
                    #""prompt":"def f(x):\n","temperature":0,"max_tokens":900,\#(field)"#)
                let choice = answer.choices[0]
                #expect(choice.text.hasPrefix("{"))
                guard choice.finish_reason == "stop" else { continue }
                #expect(try JSONSerialization.jsonObject(with: Data(choice.text.utf8)) is [String: Any])
            }
            let short = try await server.complete(#""prompt":"x","max_tokens":2,"guided_json":\#(Self.schema)"#)
            #expect(short.choices[0].finish_reason == "length" && short.choices[0].text.hasPrefix("{"))
        }
    }

    /// Whatever else is computed beside it, and with drafts or without.
    @Test func batchesChangeNothing() async throws {
        let fields =
            #""prompt":"def f(x):\n","max_tokens":120,"temperature":1,"seed":3,"n":6,"guided_json":\#(Self.schema)"#
        let texts = Mutex<Set<[String]>>([])
        for (slots, speculation) in [(1, Speculation.off), (3, .automatic), (8, .automatic)] {
            try await TestServer.run({ ($0.batching.slots, $0.batching.speculation) = (slots, speculation) }) {
                server in
                async let other = server.complete(#""prompt":"class A:","max_tokens":60,"temperature":1,"n":3"#)
                let made = try await server.complete(fields).choices.map(\.text)
                _ = try await other
                texts.withLock { _ = $0.insert(made) }
            }
        }
        #expect(texts.withLock(\.count) == 1)
    }

    @Test(arguments: [
        (#""guided_regex":"(a""#, "guided_regex", "without its )"),
        (#""guided_regex":5"#, "guided_regex", "wrong type"),
        (#""guided_json":{"not":{}}"#, "guided_json", "not is not supported"),
        (#""guided_json":"{""#, "guided_json", "not JSON"),
        (#""guided_json":{"type":"integer","multipleOf":2}"#, "guided_json", "multipleOf"),
        (#""guided_choice":[]"#, "guided_choice", "no text"),
        (#""guided_choice":"a""#, "guided_choice", "list of strings"),
        (#""structured_outputs":{"grammar":"root ::= x"}"#, "structured_outputs", "grammar"),
        (#""structured_outputs":{"regex":"(?=a)","choice":["a"]}"#, "structured_outputs", "several"),
        (#""structured_outputs":5"#, "structured_outputs", "wrong type"),
        (#""response_format":{"type":"structural_tag"}"#, "response_format", "json_schema"),
        (#""response_format":{"type":"json_schema","json_schema":{"name":"x"}}"#, "response_format", "no schema"),
        (#""response_format":{"type":"json_object"},"guided_regex":"a""#, "response_format", "both"),
        (#""guided_regex":"(a|b)*a(a|b){30}""#, "guided_regex", "too large"),
        (
            #""guided_json":\#(String(repeating: #"{"items":"#, count: 61))1\#(String(repeating: "}", count: 61))"#,
            "guided_json", "value is not"
        ),
    ])
    func whatIsNotSupportedIsRefused(_ field: String, _ name: String, _ fault: String) async throws {
        try await TestServer.run { server in
            for path in ["/v1/completions", "/completion"] {
                let response = try await server.send(.post, path, "{\(Self.start),\(field)}")
                let error = try response.error
                #expect(
                    response.status == .badRequest && error.param == name && error.message.contains(fault), "\(error)")
            }
        }
    }
}
