import Foundation
import Phi
import PhiCheckpoint
import PhiConvert
import PhiFormat
import PhiTestSupport
import PhiTokenizer

/// A reader that is fuzzed, with seeds of its input and mutations by its structure.
protocol FuzzedReader: Sendable {
    var name: String { get }
    var seeds: [[UInt8]] { get }
    /// Reads an input to its end. Traps for an error that is no `FormatError`.
    func run(_ input: [UInt8])
    func mutate(_ input: [UInt8], _ random: inout FuzzRandom) -> [UInt8]
}

enum Readers {
    static let all: [any FuzzedReader] = [
        GGUFReader(), AdapterReader(), TokenizerReader(), ConfigReader(), SafetensorsReader(), TorchReader(),
    ]
}

typealias FuzzRandom = SeededRandom

/// The directory of the input that is being read, in memory where the system has such a place.
enum Scratch {
    static let path: String = {
        let parent = FileManager.default.isWritableFile(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
        let path = parent + "/phi-fuzz-\(getpid())"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        atexit { try? FileManager.default.removeItem(atPath: Scratch.path) }
        return path
    }()
    nonisolated(unsafe) private static var written: [String: [UInt8]] = [:]

    /// Makes these the directory's files; returns their bytes.
    static func write(_ files: [String: [UInt8]]) -> Int {
        for name in written.keys where files[name] == nil { unlink(path + "/" + name) }
        defer { written = files }
        for (name, bytes) in files where written[name] != bytes {
            let descriptor = open(path + "/" + name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            guard descriptor >= 0, Foundation.write(descriptor, bytes, bytes.count) == bytes.count else {
                fatalError("cannot write \(path)/\(name)")
            }
            close(descriptor)
        }
        return files.values.reduce(0) { $0 + $1.count }
    }

    /// Runs `body` on these files, under the limits.
    static func read(_ files: [String: [UInt8]], _ body: () throws -> Void) {
        let size = write(files)
        MemoryLimit.check(files: size) {
            do {
                try body()
            } catch let error as FormatError {
                if error.fault.isEmpty || error.fault.contains("\n") { fatalError("not one line: \(error)") }
            } catch {
                fatalError("not a FormatError: \(error)")
            }
        }
    }

    /// Reads a checkpoint as `phi convert` does: every parameter, the tokenizer, and the conversion of small models.
    static func readCheckpoint(_ model: CheckpointModel, _ type: WeightType?) throws {
        let config = model.config
        for parameter in Parameter.all(layers: config.layers) {
            let (rows, columns) = config.shape(of: parameter)
            let rowsAtOnce = max(1, (1 << 16) / columns)
            let floats = UnsafeMutableBufferPointer<Float>.allocate(capacity: min(rows, rowsAtOnce) * columns)
            defer { floats.deallocate() }
            for start in stride(from: 0, to: rows, by: rowsAtOnce) {
                let range = start..<min(rows, start + rowsAtOnce)
                try model.readRows(
                    parameter, range, into: UnsafeMutableBufferPointer(rebasing: floats[..<(range.count * columns)]))
            }
        }
        encode(model.vocabulary)
        if let type, config.parameters < 100_000 {
            let output = path + "/converted"
            _ = try Converter(model, type: type, threads: 1).write(to: output, overwrite: true)
            try LanguageModel(contentsOf: output).verifyTests()
            unlink(output)
        }
    }

    static func encode(_ vocabulary: Vocabulary) {
        let tokenizer = Tokenizer(vocabulary)
        let ids = tokenizer.encode("abcd <|endoftext|> aab\n\u{1F600}")
        _ = tokenizer.decode(ids)
    }
}

extension FuzzedReader {
    /// The type to convert to as well: for an eighth of the inputs, always the same.
    func conversion(of input: [UInt8]) -> WeightType? {
        let number = input.reduce(0) { $0 &* 31 &+ Int($1) } & 31
        return number < WeightType.allCases.count ? WeightType.allCases[number] : nil
    }
}

struct GGUFReader: FuzzedReader {
    let name = "gguf"
    var seeds: [[UInt8]] { Seeds.ggufs.map(\.bytes) }

    func run(_ input: [UInt8]) {
        Scratch.read(["model.gguf": input]) {
            try Scratch.readCheckpoint(
                CheckpointModel(path: Scratch.path + "/model.gguf"), conversion(of: input))
        }
    }

    func mutate(_ input: [UInt8], _ random: inout FuzzRandom) -> [UInt8] {
        var gguf = Seeds.ggufs[random.below(Seeds.ggufs.count)]
        for _ in 0...random.below(3) { gguf.mutate(&random) }
        return gguf.bytes
    }
}

/// A reader whose input is one or more files of a directory whose others are good:
///
///     number of the name | bytes | F5 F6 F7 | number of the name | bytes ...
protocol DirectoryReader: FuzzedReader {
    var names: [String] { get }
    /// The files beside those of the input.
    var others: [String: [UInt8]] { get }
    /// Names and contents of each seed.
    var examples: [[String: [UInt8]]] { get }
    func open() throws
}

extension DirectoryReader {
    static var separator: [UInt8] { [0xF5, 0xF6, 0xF7] }

    var seeds: [[UInt8]] {
        examples.map { files in
            files.sorted { $0.key < $1.key }.map { name, bytes in
                [UInt8(names.firstIndex(of: name) ?? 0)] + bytes
            }.joined(separator: Self.separator).map { $0 }
        }
    }

    func run(_ input: [UInt8]) {
        var files = others
        for part in split(input) where !part.isEmpty {
            files[names[Int(part[0]) % names.count]] = Array(part.dropFirst())
        }
        Scratch.read(files) { try open() }
    }

    private func split(_ input: [UInt8]) -> [[UInt8]] {
        var parts: [[UInt8]] = [], start = 0, index = 0
        while index + 3 <= input.count {
            if input[index] == Self.separator[0], input[index..<index + 3].elementsEqual(Self.separator) {
                parts.append(Array(input[start..<index]))
                (start, index) = (index + 3, index + 2)
            }
            index += 1
        }
        return parts + [Array(input[start...])]
    }

    func mutate(_ input: [UInt8], _ random: inout FuzzRandom) -> [UInt8] {
        var parts = split(input)
        if random.below(4) == 0 {
            parts = examples[random.below(examples.count)].sorted { $0.key < $1.key }.map { name, bytes in
                [UInt8(names.firstIndex(of: name) ?? 0)] + bytes
            }
        }
        for _ in 0...random.below(3) {
            let index = random.below(parts.count)
            let name = names[Int(parts[index].first ?? 0) % names.count]
            let content = Array(parts[index].dropFirst())
            let new =
                switch true {
                case name.hasSuffix(".json"): Mutation.json(content, &random)
                case name.hasSuffix(".safetensors"): Mutation.safetensors(content, &random)
                case name.hasSuffix(".bin"): Mutation.torch(&random)
                default: random.mutate(content + [10], in: 0..<content.count + 1)
                }
            parts[index] = [parts[index].first ?? 0] + new
        }
        return Array(parts.joined(separator: Self.separator))
    }
}

struct ConfigReader: DirectoryReader {
    let name = "config"
    let names = [
        "config.json", "generation_config.json", "model.safetensors.index.json", "tokenizer_config.json",
        "special_tokens_map.json",
    ]
    var others: [String: [UInt8]] { Seeds.checkpoint }
    var examples: [[String: [UInt8]]] { Seeds.configs }
    func open() throws { try Scratch.readCheckpoint(CheckpointModel(path: Scratch.path), nil) }
}

struct TokenizerReader: DirectoryReader {
    let name = "tokenizer"
    let names = [
        "tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "config.json",
    ]
    var others: [String: [UInt8]] { [:] }
    var examples: [[String: [UInt8]]] { Seeds.tokenizers }
    func open() throws {
        let files = try TokenizerFiles(directory: Scratch.path)
        _ = try EndsOfText(directory: Scratch.path, files.vocabulary)
        Scratch.encode(files.vocabulary)
        _ = try files.vocabulary.section().withUnsafeBytes { try Vocabulary(section: $0) }
    }
}

struct SafetensorsReader: DirectoryReader {
    let name = "safetensors"
    let names = ["model.safetensors"]
    var others: [String: [UInt8]] { Seeds.checkpoint }
    let examples = Seeds.safetensors.map { ["model.safetensors": $0] }
    func open() throws {
        _ = try Safetensors.tensors(of: ReadableFile(path: Scratch.path + "/model.safetensors"))
        try Scratch.readCheckpoint(CheckpointModel(path: Scratch.path), .f32)
    }
}

struct TorchReader: DirectoryReader {
    let name = "torch"
    let names = ["pytorch_model.bin"]
    let others = Seeds.checkpoint.filter { $0.key != "model.safetensors" }
    let examples = Seeds.torch.map { ["pytorch_model.bin": $0.bytes] }
    func open() throws {
        let file = try ReadableFile(path: Scratch.path + "/pytorch_model.bin")
        for tensor in try TorchArchive.tensors(of: file) where tensor.refusal == nil && tensor.count < 1 << 20 {
            _ = try floats(tensor)
        }
        try Scratch.readCheckpoint(CheckpointModel(path: Scratch.path), nil)
    }
}

struct AdapterReader: DirectoryReader {
    let name = "adapter"
    let names = ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"]
    let others = Seeds.checkpoint.merging(Seeds.adapters[0]) { $1 }
    var examples: [[String: [UInt8]]] { Seeds.adapters }
    func open() throws {
        let model = Seeds.model
        let adapter = try Adapter(directory: Scratch.path, of: model, weight: 0.5)
        try Scratch.readCheckpoint(model.merging([adapter]), nil)
    }
}
