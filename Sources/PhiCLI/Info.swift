import ArgumentParser
import Phi
import PhiFormat
import PhiCommandSupport

/// `phi info`
struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Describe a .phi file, or with --cpu this machine.")

    @OptionGroup var model: ModelOptions

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Show the instruction sets and the default number of threads of this machine instead.")
    var cpu = false

    func run() throws {
        if cpu {
            let machine = try Machine()
            try Console.write(machine, json: json)
        } else {
            let description = try ModelDescription(model.open())
            try Console.write(description, json: json)
        }
    }
}

/// The report of `phi info --cpu`.
private struct Machine: Report {
    let instruction_set: String
    let available: [String]
    let known: [String]
    let threads: Int

    init() throws {
        instruction_set = try Kernels.fromEnvironment().name
        available = Kernels.available.map(\.name)
        known = Kernels.names
        threads = Engine.defaultThreads
    }

    var text: String {
        let list = known.map { name in
            name == instruction_set
                ? "\(name) (used)" : available.contains(name) ? name : "\(name) (not on this machine)"
        }
        return "instruction sets: \(list.joined(separator: ", "))\nthreads: \(threads)\n"
    }
}

/// The report of `phi info`.
private struct ModelDescription: Report {
    struct Tensor: Encodable {
        let name: String
        let encoding: String
        let rows: Int
        let columns: Int
        let bytes: Int
    }

    let file: String
    let format_version: String
    let sha256: String
    let bytes: Int
    let type: String
    let parameters: Int
    let bytes_per_token: Int
    let hidden_size: Int
    let intermediate_size: Int
    let layers: Int
    let heads: Int
    let kv_heads: Int
    let head_size: Int
    let rotary_dimensions: Int
    let rotary_base: Float
    let layer_norm_epsilon: Float
    let context: Int
    let vocabulary: Int
    let end_of_text: Int
    let provenance: String?
    let tensors: [Tensor]

    init(_ model: LanguageModel) {
        let config = model.config
        file = model.file.path
        format_version = "\(model.file.version.major).\(model.file.version.minor)"
        sha256 = model.file.digest.description
        bytes = model.file.mapping.count
        type = model.encoding.name
        parameters = config.parameters
        bytes_per_token = model.bytesPerToken
        hidden_size = config.hiddenSize
        intermediate_size = config.intermediateSize
        layers = config.layers
        heads = config.heads
        kv_heads = config.kvHeads
        head_size = config.headSize
        rotary_dimensions = config.rotaryDimensions
        rotary_base = config.rotaryBase
        layer_norm_epsilon = config.layerNormEpsilon
        context = config.context
        vocabulary = config.vocabulary
        end_of_text = config.endOfText
        provenance = model.provenance
        tensors = model.file.sections.compactMap { section in
            section.encoding.map { encoding in
                Tensor(
                    name: section.name, encoding: encoding.name, rows: section.rows, columns: section.columns,
                    bytes: section.length)
            }
        }
    }

    var text: String {
        let megabytes = (Double(bytes) / 1e6).fixed(1)
        let millions = (Double(parameters) / 1e6).fixed(1)
        let read = (Double(bytes_per_token) / 1e6).fixed(1)
        let width = tensors.map(\.name.count).max() ?? 0
        let rows = tensors.map { tensor in
            let name = tensor.name + String(repeating: " ", count: width - tensor.name.count)
            return "  \(name)  \(tensor.encoding)  \(tensor.rows) x \(tensor.columns)  \(tensor.bytes) bytes\n"
        }
        return """
            file: \(file) (\(megabytes) MB, .phi \(format_version), sha256 \(sha256))
            type: \(type), \(millions) million parameters, \(read) MB read for each token
            shape: \(layers) layers, hidden \(hidden_size), intermediate \(intermediate_size), \
            \(heads) heads of \(head_size) (\(kv_heads) for keys and values), rotary \(rotary_dimensions) of base \(rotary_base)
            text: context \(context), vocabulary \(vocabulary), end of text \(end_of_text)
            provenance: \(provenance ?? "none")
            tensors:

            """ + rows.joined()
    }
}
