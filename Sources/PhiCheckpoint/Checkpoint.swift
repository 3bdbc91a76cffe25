import PhiFormat
import PhiJSON

/// The weights of a checkpoint directory as `save_pretrained` writes them: one file, or several with an index.
public struct Checkpoint: Sendable {
    /// The directory as it was given.
    public let directory: String
    /// The index, if there is one, and then the files with the tensors.
    public let files: [ReadableFile]
    /// All tensors by name.
    public let tensors: [String: StoredTensor]

    /// The names that are looked for, the first that is there is taken: safetensors before pickles, whole before split.
    private static let names: [(file: String, isIndex: Bool, read: Reader)] = [
        ("model.safetensors", false, Safetensors.tensors),
        ("model.safetensors.index.json", true, Safetensors.tensors),
        ("pytorch_model.bin", false, TorchArchive.tensors),
        ("pytorch_model.bin.index.json", true, TorchArchive.tensors),
    ]
    private typealias Reader = @Sendable (ReadableFile) throws(FormatError) -> [StoredTensor]

    /// Opens all files of the checkpoint in `directory` and reads their headers. Throws ``FormatError`` when there is no
    /// checkpoint, a file is damaged, the index names a file that is missing or outside the directory or a tensor that is
    /// not where it says, or two files hold tensors of one name.
    public init(directory: String) throws(FormatError) {
        try requireDirectory(directory)
        for (name, isIndex, read) in Self.names {
            let path = join(directory, name)
            if case .missing = PathKind(path) { continue }
            let file = try ReadableFile(path: path)
            self.directory = directory
            if isIndex {
                (files, tensors) = try Self.readShards(of: file, in: directory, read)
            } else {
                files = [file]
                tensors = try Self.merge([file], read)
            }
            return
        }
        throw FormatError(directory, "holds no checkpoint: no \(Self.names.map(\.file).joined(separator: ", no "))")
    }

    private struct Index: Decodable {
        let weight_map: [String: String]
    }

    private static func readShards(
        of index: ReadableFile, in directory: String, _ read: Reader
    ) throws(FormatError) -> ([ReadableFile], [String: StoredTensor]) {
        let map = try JSONText.decode(Index.self, from: index).weight_map
        var shards: [ReadableFile] = []
        for name in Set(map.values).sorted() {
            // A shard lies beside its index: no folders, no way up, no absolute paths.
            let leads = name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 == 0 }
            guard !name.isEmpty, name != ".", name != "..", !leads else {
                throw FormatError(index.path, "names a file outside its directory: \(name.shown)")
            }
            let path = join(directory, name)
            if case .missing(let fault) = PathKind(path) {
                throw FormatError(path, "\(fault), but the index names it")
            }
            shards.append(try ReadableFile(path: path))
        }
        let tensors = try merge(shards, read)
        for (tensor, name) in map.sorted(by: { $0.key < $1.key }) {
            guard tensors[tensor]?.file.path == join(directory, name) else {
                throw FormatError(join(directory, name), "has no tensor \(tensor.shown), but the index says so")
            }
        }
        return ([index] + shards, tensors)
    }

    private static func merge(_ files: [ReadableFile], _ read: Reader) throws(FormatError) -> [String: StoredTensor] {
        var tensors: [String: StoredTensor] = [:]
        for file in files {
            for tensor in try read(file) {
                if let other = tensors.updateValue(tensor, forKey: tensor.name) {
                    throw FormatError(file.path, "holds tensor \(tensor.name.shown), and so does \(other.file.path)")
                }
            }
        }
        return tensors
    }
}

/// `directory/name`
func join(_ directory: String, _ name: String) -> String {
    directory.hasSuffix("/") ? directory + name : directory + "/" + name
}

func requireDirectory(_ path: String) throws(FormatError) {
    switch PathKind(path) {
    case .directory: break
    case .missing: throw FormatError(path, "no such directory")
    default: throw FormatError(path, "is not a directory; a checkpoint is a directory with config.json")
    }
}
