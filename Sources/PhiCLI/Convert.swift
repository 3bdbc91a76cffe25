import ArgumentParser
import Phi
import PhiCheckpoint
import PhiConvert
import PhiFormat
import PhiHub
import PhiCommandSupport
import PhiTokenizer

extension WeightType: ExpressibleByArgument {}

/// `phi convert`
struct Convert: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Convert a Hugging Face phi checkpoint, or a GGUF file, to a .phi file.",
        discussion: """
            The output file appears only when it is complete. A model that is given by its id is downloaded into Hugging Face's \
            cache first, as far as the cache lacks it; HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are honoured.
            """)

    @Argument(
        help: ArgumentHelp(
            """
            The checkpoint: a directory with config.json, weights (safetensors or .bin) and tokenizer files, its file of weights, \
            an entry of Hugging Face's cache, a GGUF file, or the id of a model on huggingface.co.
            """,
            valueName: "checkpoint"))
    var path: FilePath

    @Option(help: "The branch, tag or commit of a model that is given by its id. Without it, main.")
    var revision: String?

    @Option(name: [.short, .long], help: "The .phi file to write.")
    var output: FilePath

    @Option(name: .customLong("type"), help: "The encoding of the weights: q3, q4, q8, f16 or f32. Without it, q4.")
    private var typeOption: WeightType?

    @Option(
        help: ArgumentHelp(
            """
            Calibrate q3, q4 or q8 on 8192 tokens of this text, spread over it; 'builtin', the default, on the built-in one; 'none' takes a few random tokens \
            instead, which is faster and less exact.
            """,
            valueName: "file"))
    var calibrate: Calibration?

    @Option(
        name: .customLong("eos"),
        help: ArgumentHelp(
            "A token that ends a text, instead of those that the checkpoint names; repeatable.", valueName: "id|token"))
    var endsOfText: [TextArgument] = []

    @Option(
        name: .customLong("adapter"),
        help: ArgumentHelp(
            "A PEFT LoRA adapter to merge, a directory or an id, with a factor of its update if it is not 1; repeatable.",
            valueName: "adapter[=factor]"))
    var adapters: [AdapterArgument] = []

    @Option(
        name: [.customShort("t"), .customLong("threads")],
        help: "Threads to compute on. Without it, one for each core. Earlier, -t was --type; -t q4 still is.")
    private var threadsOrType: ThreadsOrType?

    @Flag(help: "Replace the output if it exists.")
    var force = false

    func validate() throws {
        if let threads = threadsOrType?.threads { try ThreadCounts.validate([threads], of: "--threads") }
        if typeOption != nil, threadsOrType?.type != nil {
            throw ValidationError("The type is given by --type and -t.")
        }
        if calibrate != nil, !type.isRounded {
            let rounded = WeightType.allCases.filter(\.isRounded).map(\.rawValue)
            throw ValidationError("--calibrate requires --type \(rounded.joined(separator: " or ")).")
        }
    }

    private var type: WeightType { typeOption ?? threadsOrType?.type ?? .q4 }

    func run() throws {
        Interrupt.catchSignals()
        // What may be wrong without a download, before one.
        try AtomicFile.check(output, overwrite: force)
        let calibration: CalibrationText? =
            switch calibrate ?? (type.isRounded ? .builtIn : .none) {
            case .none: nil
            case .builtIn: .builtIn
            case .file(let path): try CalibrationText(path)
            }
        let adapters = try adapters.map { try $0.downloaded() }  // first, because they are small
        let id = CheckpointArgument.id(path)
        let place = try CheckpointArgument.path(path, .model, revision: revision)
        let start = ContinuousClock.now
        let base = try CheckpointModel(
            place, endsOfText: endsOfText.map(\.text), tokenizers: adapters.map(\.directory))
        let checkpoint = try base.merging(adapters.map { try $0.open(of: base) })
        for warning in checkpoint.warnings { Console.warn(warning) }
        for adapter in checkpoint.adapters {
            guard let id, let other = adapter.baseModel.flatMap(ModelID.init), !other.isSameRepository(as: id) else {
                continue
            }
            Console.warn("\(adapter.directory): is an adapter of \(other), not of \(id)")
        }
        ThreadCounts.start(threadsOrType?.threads)
        let converter = try Converter(checkpoint, type: type, calibration: calibration, threads: threadsOrType?.threads)
        let report = try withProgress("convert") { try converter.write(to: output, overwrite: force, progress: $0) }
        let size = try ReadableFile(output).size
        let elapsed = start.duration(to: .now).seconds
        let parameters = Double(checkpoint.config.parameters) / 1e6
        try Console.writeLine(
            """
            \(output): \((Double(size) / 1e6).fixed(1)) MB, \(parameters.fixed(1)) million parameters, \
            \(type.blocks.bitsPerWeight.fixed(2)) bits per weight in the blocks, \(elapsed.fixed(1)) s
            """)
        let tokenizer = Tokenizer(checkpoint.vocabulary), ends = checkpoint.endsOfText
        for token in ends.bounds.ends {
            let name = tokenizer.decode([token]).shown
            try Console.write("  end of text: \(token) \(name), by \(ends.source)\n")
            if !checkpoint.vocabulary.isSpecial(token) {
                Console.warn("the end of text \(name) is not a special token; --eos names others")
            }
        }
        if report.addedChannels > 0 {
            try Console.write(
                "  fc1, fc2: \(report.addedChannels) zero channels added, so that outliers have a block of their own\n")
        }
        for kind in report.kinds {
            let ratio = kind.activations.map {
                ", largest inputs \(Double($0.before).fixed(1)) times the median, now \(Double($0.after).fixed(1))"
            }
            try Console.write(
                "  \(kind.label): \(kind.encoding.name), relative error \((kind.error.relative * 100).fixed(3))%\(ratio ?? "")\n"
            )
        }
    }
}

/// The value of `--calibrate`.
enum Calibration: ExpressibleByArgument {
    case none
    case builtIn
    case file(FilePath)

    init(argument: String) {
        self =
            switch argument {
            case "none": .none
            case "builtin": .builtIn
            default: .file(FilePath(argument: argument))
            }
    }

    static var defaultCompletionKind: CompletionKind { .file() }
}

/// The value of `--adapter`: a directory, or `directory=factor` unless there is a directory of that whole name.
struct AdapterArgument: ExpressibleByArgument {
    private(set) var directory: FilePath
    private let factor: Float

    init(argument: String) {
        let whole = FilePath(argument: argument)
        if case .missing = PathKind(whole), let sign = argument.lastIndex(of: "="),
            let factor = Float(argument[argument.index(after: sign)...])
        {
            self.factor = factor
            directory = FilePath(argument: String(argument[..<sign]))
        } else {
            factor = 1
            directory = whole
        }
    }

    static var defaultCompletionKind: CompletionKind { .directory }

    /// The adapter in the cache, if it is given by its id.
    func downloaded() throws -> AdapterArgument {
        var argument = self
        argument.directory = try CheckpointArgument.path(directory, .adapter)
        return argument
    }

    func open(of base: CheckpointModel) throws(FormatError) -> Adapter {
        guard factor.isFinite else { throw FormatError(directory, "has a factor that is not finite") }
        return try Adapter(directory: directory, of: base, weight: factor)
    }
}

/// The value of `-t`: a number of threads, or a type, as in version 0.1.
private enum ThreadsOrType: ExpressibleByArgument {
    case threads(Int)
    case type(WeightType)

    init?(argument: String) {
        if let threads = Int(argument) {
            self = .threads(threads)
        } else if let type = WeightType(rawValue: argument) {
            self = .type(type)
        } else {
            return nil
        }
    }

    var threads: Int? { if case .threads(let threads) = self { threads } else { nil } }
    var type: WeightType? { if case .type(let type) = self { type } else { nil } }
}
