import Foundation
import PhiTestSupport
import Testing

extension ServerTests {
    /// Memory, disk and the model's file.
    @Suite struct MemoryTests {
        /// The scales of a q8 KV cache are far from its keys, so that short sequences take many more bytes of pages than of numbers.
        @Test(.enabled(if: ownMemory(of: getpid()) != nil)) func thePrefixCacheTakesWhatItMay() throws {
            let server = try ServerProcess("--prefix-cache", "24", "--kv-cache", "q8", path: nil)
            func fill(from first: Int, until bytes: Double) throws {
                var number = first
                while try server.metric("phi_prefix_cache_bytes") ?? 0 < bytes {
                    number += 1
                    let prompts = (0..<32).map { [number % 2000, number / 2000, $0, 1, 2, 3] }
                    _ = try server.complete(["prompt": prompts, "max_tokens": 2, "temperature": 0])
                }
            }
            try fill(from: 0, until: 1)
            let before = try #require(ownMemory(of: server.program.pid))
            let held = try #require(try server.metric("phi_prefix_cache_bytes"))
            try fill(from: 1, until: 23 * 1_048_576)
            let grown = try #require(ownMemory(of: server.program.pid)) - before
            let counted = try #require(try server.metric("phi_prefix_cache_bytes")) - held
            #expect(Double(grown) < 1.15 * counted + 4e6, "\(grown) bytes for \(counted)")
        }

        /// An encoder of JSON takes many times the memory of what it makes.
        @Test(.enabled(if: ownMemory(of: getpid()) != nil)) func largeAnswersTakeTheirSize() throws {
            let server = try ServerProcess(path: nil)
            func answer(_ path: String, _ fields: [String: Any]) throws -> HTTPConnection.Answer {
                let bias = ["prompt": "x", "logit_bias": ["2047": -100], "n": 32] as [String: Any]
                let body = ServerProcess.json(bias.merging(fields) { $1 })
                return try server.request("POST", path, body)
            }
            /// The memory but for that of kept prefixes.
            func used() throws -> Int {
                let memory = try #require(ownMemory(of: server.program.pid))
                return memory - Int(try #require(try server.metric("phi_prefix_cache_bytes")))
            }
            for (path, fields) in [
                ("/completion", ["n_predict": 100, "n_probs": 20]),
                ("/v1/completions", ["max_tokens": 100, "logprobs": 20]),
            ] {
                let before = try used()
                let whole = try answer(path, fields)
                #expect(whole.status == 200 && whole.body.count > 1 << 20)
                _ = try JSONSerialization.jsonObject(with: Data(whole.body))
                let grown = try used() - before
                #expect(grown < 6 * whole.body.count + 8_000_000, "\(grown) bytes for \(whole.body.count) of \(path)")
            }
        }

        @Test func aFileThatIsCutShortEndsTheServerWithALine() throws {
            let folder = try TemporaryFolder()
            let path = folder.at("model.phi")
            try FileManager.default.copyItem(atPath: Models.path(), toPath: path)
            let server = try ServerProcess(path: path)
            _ = try server.complete(["prompt": "x", "max_tokens": 2])
            try #require(truncate(path, 4096) == 0)
            #expect(throws: (any Error).self) { try server.complete(["prompt": "yz", "max_tokens": 2]) }
            let outcome = try server.end()
            let last = outcome.errorText.split(separator: "\n").last ?? ""
            #expect(outcome.status == 1 && last.contains("that is in use was overwritten"), "\(outcome.errorText)")
        }

        @Test func prefixesSurviveARestart() throws {
            let folder = try TemporaryFolder()
            let long = String(repeating: "def f(x): return x\n", count: 10)
            func answer(_ options: String...) throws -> CompletionAnswer {
                let server = try ServerProcess("--cache-dir", folder.at("prefixes"), path: nil)
                let answer = try server.complete(["prompt": long, "max_tokens": 5, "temperature": 0])
                let outcome = try server.end()
                #expect(outcome.status == 0 && !outcome.errorText.contains("warning"), "\(outcome.errorText)")
                return answer
            }
            let (first, second) = (try answer(), try answer())
            #expect(first.choices[0].text == second.choices[0].text)
            #expect(first.usage?.prompt_tokens_details.cached_tokens == 0)
            #expect(second.usage.map { $0.prompt_tokens_details.cached_tokens == $0.prompt_tokens - 1 } == true)
            // Another process has it; it is open to others.
            let server = try ServerProcess("--cache-dir", folder.at("prefixes"), path: nil)
            func refusal() throws -> String {
                let outcome = try ServerProcess.outcome(["--port", "0", "--cache-dir", folder.at("prefixes")])
                #expect(outcome.status == 1 && outcome.output.isEmpty)
                return outcome.errorText
            }
            #expect(try refusal() == "phi-server: \(folder.at("prefixes")): is used by another phi-server\n")
            _ = try server.end()
            chmod(folder.at("prefixes"), 0o755)
            #expect(try refusal().hasSuffix("is open to other users; chmod go= closes it\n"))
        }
    }
}

/// Bytes of a process's memory that no other has; nil where the system does not tell.
private func ownMemory(of process: pid_t) -> Int? {
    let status = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)
    let line = status?.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
    return line?.split(separator: " ").dropLast().last.flatMap { Int($0) }.map { $0 * 1024 }
}
