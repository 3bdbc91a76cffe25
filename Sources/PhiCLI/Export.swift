import ArgumentParser
import Phi
import PhiCommandSupport
import PhiConvert
import PhiFormat

extension ExportType: ExpressibleByArgument {}

/// `phi export`
struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a .phi file's model as a GGUF file for llama.cpp.",
        discussion: "The output file appears only when it is complete.")

    @OptionGroup var model: ModelOptions

    @Option(name: [.short, .long], help: "The GGUF file to write.")
    var output: FilePath

    @Option(help: "The type of the matrices: f32, f16 or q8_0.")
    var type: ExportType = .f16

    @Flag(help: "Replace the output if it exists.")
    var force = false

    func run() throws {
        Interrupt.catchSignals()
        let model = try model.open()
        let exporter = try GGUFExporter(model, type: type)
        for end in model.textBounds.ends.dropFirst(GGUFExporter.mostEnds) {
            Console.warn(
                "a GGUF file has \(GGUFExporter.mostEnds) ends of text; \(model.tokenizer.decode([end]).shown) is left out"
            )
        }
        let vocabulary = model.tokenizer.vocabulary
        if vocabulary.unknown != nil || vocabulary.addedTokens.contains(where: \.isInSecondPass) {
            Console.warn(
                "a GGUF file has no token for unknown bytes and one pass over added tokens, so llama.cpp makes other tokens of "
                    + "some texts")
        }
        try withProgress("export") { try exporter.write(to: output, overwrite: force, progress: $0) }
        let size = try ReadableFile(output).size
        try Console.writeLine("\(output): \((Double(size) / 1e6).fixed(1)) MB, \(type.rawValue)")
    }
}
