import ArgumentParser

/// `phi bench`
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Time a model as llama-bench does, or the kernels one by one.",
        discussion: "phi bench -p 512 means phi bench model -p 512; see phi bench model --help for the options.",
        subcommands: [BenchModel.self, BenchKernels.self], defaultSubcommand: BenchModel.self)
}
