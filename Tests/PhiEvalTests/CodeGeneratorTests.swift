import Phi
import PhiEval
import PhiFormat
import PhiTestSupport
import Testing

/// Samples do not depend on what was computed with them, nor on drafts.
struct CodeGeneratorTests {
    @Test func takesTheLargestNumberOfTokens() throws {
        let set = try #require(ProblemSets.all.first { $0.builtIn != nil })
        let problems = try set.read(nil, mode: .raw, promptTests: 0)
        let settings = GenerationSettings(
            maximumTokens: .max, sampling: try SamplingOptions(temperature: 0), samples: 1, stops: [])
        _ = try CodeGenerator(TinyPhi(context: 256).model(.q8), problems, settings, run: "run", threads: 1)
    }

    @Test(arguments: [0.0, 0.9])
    func samplesAreTheSameWithDrafts(_ temperature: Double) throws {
        let folder = try TemporaryFolder()
        let lines = (0..<4).map { number in
            #"{"task_id": "T/\#(number)", "prompt": "def f\#(number)(x):\n    return f\#(number)(x", "#
                + #""entry_point": "f", "canonical_solution": "", "test": ""}"#
        }
        try folder.write("problems.jsonl", lines.joined(separator: "\n"))
        let humanEval = try #require(ProblemSets.all.first)
        let problems = try humanEval.read(FilePath(folder.at("problems.jsonl")), mode: .raw, promptTests: 0)
        let model = try TinyPhi(context: 256).model(.q8)
        let settings = GenerationSettings(
            maximumTokens: 60, sampling: try SamplingOptions(temperature: temperature, seed: 2), samples: 2,
            stops: ["\nclass"])
        func samples(_ speculation: Speculation, batch: Int) throws -> [String] {
            let generator = try CodeGenerator(
                model, problems, settings, run: "run", batch: batch, threads: 1, speculation: speculation)
            var made: [CodeSample] = []
            try generator.generate { made.append($0) }
            return made.map { "\($0.task_id) \($0.sample ?? -1) \($0.tokens ?? -1) \($0.completion)" }.sorted()
        }
        let expected = try samples(.off, batch: 1)
        #expect(expected.count == 8)
        for batch in [1, 3, 8] {
            for policy in [Speculation.Policy.measured, .fixed(2), .fixed(7)] {
                #expect(try samples(Speculation(policy: policy), batch: batch) == expected, "\(batch), \(policy)")
            }
        }
    }
}
