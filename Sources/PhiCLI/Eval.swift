import ArgumentParser

/// `phi eval`
struct Eval: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure what a model is worth, and what a quantised file keeps.",
        subcommands: [EvalHumanEval.self, EvalMBPP.self, EvalPerplexity.self, EvalKL.self])
}
