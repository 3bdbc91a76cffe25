/// One thing to time: reading a prompt, making tokens, or both, behind so many tokens that are there already.
package struct BenchmarkCase: Sendable, Equatable {
    /// Tokens that are read together; 0 for none.
    package let prompt: Int
    /// Tokens that are made one by one; 0 for none.
    package let generate: Int
    /// Tokens in the KV cache before.
    package let depth: Int
    /// Threads to compute on.
    package let threads: Int

    /// The name that llama-bench gives it: `pp512`, `tg128`, `pp512+tg128`, with ` @ d1024` at a depth.
    package var name: String {
        let parts = [prompt > 0 ? "pp\(prompt)" : nil, generate > 0 ? "tg\(generate)" : nil].compactMap { $0 }
        return parts.joined(separator: "+") + (depth > 0 ? " @ d\(depth)" : "")
    }

    /// Positions that it needs.
    package var positions: Int { depth + prompt + generate }

    /// All combinations, in llama-bench's order: for each depth and number of threads the prompts, the generations, the
    /// pairs.
    package static func all(
        prompts: [Int], generations: [Int], pairs: [(prompt: Int, generate: Int)], depths: [Int], threads: [Int]
    ) -> [BenchmarkCase] {
        depths.flatMap { depth in
            threads.flatMap { threads in
                let prompts = prompts.filter { $0 > 0 }.map { (prompt: $0, generate: 0) }
                let generations = generations.filter { $0 > 0 }.map { (prompt: 0, generate: $0) }
                return (prompts + generations + pairs).map {
                    BenchmarkCase(prompt: $0.prompt, generate: $0.generate, depth: depth, threads: threads)
                }
            }
        }
    }
}
