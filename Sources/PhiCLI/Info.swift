import ArgumentParser
import Phi
import PhiFormat
import PhiCommandSupport
import PhiJSON

/// `phi info`
struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Describe a .phi file, or with --cpu this machine.")

    @OptionGroup var model: ModelOrPath

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Show the instruction sets and the default number of threads of this machine instead.")
    var cpu = false

    func validate() throws {
        if cpu, model.isGiven { throw ValidationError("--cpu describes this machine and takes no file.") }
    }

    func run() throws {
        if cpu {
            try Console.write(Machine(), json: json)
        } else {
            try Console.write(ModelDescription(LanguageModel(model.openFile())), json: json)
        }
    }
}

/// The report of `phi info --cpu`.
private struct Machine: Report {
    private let used: String
    private let available = Kernels.available.map(\.name)

    init() throws { used = try Kernels.fromEnvironment().name }

    var json: JSONObject {
        [
            "instruction_set": used, "available": available, "known": Kernels.names, "threads": Engine.defaultThreads,
        ]
    }

    var text: String {
        let list = Kernels.names.map { name in
            name == used ? "\(name) (used)" : available.contains(name) ? name : "\(name) (not on this machine)"
        }
        return "instruction sets: \(list.joined(separator: ", "))\nthreads: \(Engine.defaultThreads)\n"
    }
}

/// The report of `phi info`.
private struct ModelDescription: Report {
    private let model: LanguageModel
    private let version: String
    private let tensors: [(name: String, encoding: String, rows: Int, columns: Int, bytes: Int)]

    init(_ model: LanguageModel) {
        self.model = model
        version = "\(model.file.version.major).\(model.file.version.minor)"
        tensors = model.file.sections.compactMap { section in
            section.encoding.map { (section.name, $0.name, section.rows, section.columns, section.length) }
        }
    }

    var json: JSONObject {
        let (file, config) = (model.file, model.config)
        return [
            "file": file.path, "format_version": version, "header_sha256": file.digest.description,
            "bytes": file.mapping.count, "type": model.encoding.name, "parameters": config.parameters,
            "bytes_per_token": model.bytesPerToken, "hidden_size": config.hiddenSize,
            "intermediate_size": config.intermediateSize, "layers": config.layers, "heads": config.heads,
            "kv_heads": config.kvHeads, "head_size": config.headSize, "rotary_dimensions": config.rotaryDimensions,
            "rotary_base": config.rotaryBase, "layer_norm_epsilon": config.layerNormEpsilon,
            "context": config.context, "vocabulary": config.vocabulary, "end_of_text": config.endOfText,
            "ends_of_text": model.textBounds.ends, "start_of_text": model.textBounds.start,
            "provenance": model.provenance,
            "tensors": tensors.map { tensor in
                [
                    "name": tensor.name, "encoding": tensor.encoding, "rows": tensor.rows, "columns": tensor.columns,
                    "bytes": tensor.bytes,
                ] as JSONObject
            },
        ]
    }

    /// A text of any length and content in one line.
    private static func shown(_ text: String) -> String {
        let limit = 2000
        return String(text.prefix(limit)).printable + (text.dropFirst(limit).isEmpty ? "" : "... (--json has all)")
    }

    var text: String {
        let (file, config) = (model.file, model.config)
        let megabytes = (Double(file.mapping.count) / 1e6).fixed(1)
        let millions = (Double(config.parameters) / 1e6).fixed(1)
        let read = (Double(model.bytesPerToken) / 1e6).fixed(1)
        let ends = model.textBounds.ends.map { "\($0) \(model.tokenizer.decode([$0]).shown)" }.joined(separator: ", ")
        let width = tensors.map(\.name.count).max() ?? 0
        let rows = tensors.map { tensor in
            let name = tensor.name + String(repeating: " ", count: width - tensor.name.count)
            return "  \(name)  \(tensor.encoding)  \(tensor.rows) x \(tensor.columns)  \(tensor.bytes) bytes\n"
        }
        return """
            file: \(file.path) (\(megabytes) MB, .phi \(version), sha256 of the header \(file.digest))
            type: \(model.encoding.name), \(millions) million parameters, \(read) MB read for each token
            shape: \(config.layers) layers, hidden \(config.hiddenSize), intermediate \(config.intermediateSize), \
            \(config.heads) heads of \(config.headSize) (\(config.kvHeads) for keys and values), \
            rotary \(config.rotaryDimensions) of base \(config.rotaryBase)
            text: context \(config.context), vocabulary \(config.vocabulary), end of text \(ends)
            provenance: \(Self.shown(model.provenance ?? "none"))
            tensors:

            """ + rows.joined()
    }
}
