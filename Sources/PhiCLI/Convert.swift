import ArgumentParser
import Phi
import PhiCheckpoint
import PhiConvert
import PhiFormat
import PhiCommandSupport
import PhiTokenizer

extension WeightType: ExpressibleByArgument {}

/// `phi convert`
struct Convert: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Convert a Hugging Face phi checkpoint, or a GGUF file, to a .phi file.",
        discussion: "The output file appears only when it is complete.")

    @Argument(
        help: ArgumentHelp(
            """
            The checkpoint: a directory with config.json, weights (safetensors or .bin) and tokenizer files, its file of weights, \
            an entry of Hugging Face's cache, or a GGUF file.
            """,
            valueName: "checkpoint"))
    var path: String

    @Option(name: [.short, .long], help: "The .phi file to write.")
    var output: String

    @Option(name: [.short, .long], help: "The encoding of the weights: q4, q8, f16 or f32.")
    var type: WeightType = .q4

    @Option(
        help: ArgumentHelp(
            """
            Calibrate q4 or q8 on this text; 'builtin', the default, on the built-in one; 'none' skips calibration, which \
            is faster and less exact.
            """,
            valueName: "file"))
    var calibrate: String?

    @Option(
        name: .customLong("eos"),
        help: ArgumentHelp(
            "A token that ends a text, instead of those that the checkpoint names; repeatable.", valueName: "id|token"))
    var endsOfText: [String] = []

    @Option(
        name: .customLong("adapter"),
        help: ArgumentHelp(
            "A PEFT LoRA adapter to merge, with a factor of its update if it is not 1; repeatable.",
            valueName: "directory[=factor]"))
    var adapters: [String] = []

    @Option(help: "Threads to compute on. Without it, one for each core.")
    var threads: Int?

    @Flag(help: "Replace the output if it exists.")
    var force = false

    func validate() throws {
        if let threads { try ThreadCounts.validate([threads], of: "--threads") }
        if calibrate != nil, !type.isRounded {
            let rounded = WeightType.allCases.filter(\.isRounded).map(\.rawValue)
            throw ValidationError("--calibrate requires --type \(rounded.joined(separator: " or ")).")
        }
    }

    /// Opens `directory=factor`, or `directory` alone.
    private static func adapter(_ argument: String, _ config: ModelConfig) throws -> Adapter {
        if let sign = argument.lastIndex(of: "="), let factor = Float(argument[argument.index(after: sign)...]) {
            guard factor.isFinite else { throw FormatError(argument, "has a factor that is not finite") }
            return try Adapter(
                directory: Console.path(ofArgument: String(argument[..<sign])), config, weight: factor)
        }
        return try Adapter(directory: Console.path(ofArgument: argument), config)
    }

    func run() throws {
        Interrupt.catchSignals()
        let start = ContinuousClock.now
        let base = try CheckpointModel(Console.path(ofArgument: path), endsOfText: endsOfText)
        let checkpoint = try base.merging(try adapters.map { try Self.adapter($0, base.config) })
        for warning in checkpoint.warnings { Console.error("phi: warning: \(warning)\n") }
        let calibration: CalibrationText? =
            switch calibrate ?? (type.isRounded ? "builtin" : "none") {
            case "none": nil
            case "builtin": .builtIn
            case let path: try CalibrationText(Console.path(ofArgument: path))
            }
        let converter = try Converter(checkpoint, type: type, calibration: calibration, threads: threads)
        let file = try Console.path(ofArgument: output)
        let report = try withProgress("convert") { try converter.write(to: file, overwrite: force, progress: $0) }
        let size = try ReadableFile(file).size
        let elapsed = start.duration(to: .now).seconds
        let parameters = Double(checkpoint.config.parameters) / 1e6
        try Console.write(
            """
            \(output): \((Double(size) / 1e6).fixed(1)) MB, \(parameters.fixed(1)) million parameters, \
            \(type.blocks.bitsPerWeight.fixed(2)) bits per weight in the blocks, \(elapsed.fixed(1)) s

            """)
        let tokenizer = Tokenizer(checkpoint.vocabulary), ends = checkpoint.endsOfText
        for token in ends.bounds.ends {
            let name = tokenizer.decode([token]).shown
            try Console.write("  end of text: \(token) \(name), by \(ends.source)\n")
            if !checkpoint.vocabulary.isSpecial(token) {
                Console.error("phi: warning: the end of text \(name) is not a special token; --eos names others\n")
            }
        }
        for kind in report.kinds {
            try Console.write(
                "  \(kind.label): \(kind.encoding.name), relative error \((kind.error.relative * 100).fixed(3))%\n")
        }
    }
}
