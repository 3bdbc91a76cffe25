import ArgumentParser
import PhiEval

/// `phi eval`
struct Eval: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Evaluate a model on problems or text, or a quantised file against its base.",
        subcommands: ProblemSets.all.map { command(of: $0) } + [
            EvalPerplexity.self, EvalKL.self, EvalCodeLoss.self, EvalPairs.self,
        ])

    private static func command<Problems: ProblemSet>(of problems: Problems.Type) -> any ParsableCommand.Type {
        EvalCode<Problems>.self
    }
}
