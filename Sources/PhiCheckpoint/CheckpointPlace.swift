import PhiFormat

/// Where a checkpoint lies: its directory, and its weights if they were given as a file.
///
///     phi-1/                                  a directory with config.json, the tokenizer's files and the weights
///     phi-1/model.safetensors                 a file of weights with the others beside it
///     hub/models--microsoft--phi-1            an entry of Hugging Face's cache, of which the main snapshot is taken
package struct CheckpointPlace: Sendable {
    package let directory: FilePath
    let weights: ReadableFile?

    /// Throws ``FormatError`` when there is nothing at `path` or something else.
    package init(_ path: FilePath) throws(FormatError) {
        switch PathKind(path) {
        case .directory:
            weights = nil
            directory = try Self.snapshot(ofCacheEntry: path) ?? path
            let isPresent = presence(in: directory)
            let hasConfig = try isPresent(CheckpointFiles.config)
            let isAdapter = try isPresent(CheckpointFiles.adapterConfig)
            // Some trainers save the base model's config beside an adapter.
            if isAdapter {
                let hasWeights = try CheckpointFiles.weights(where: isPresent) != nil
                guard hasConfig, hasWeights else { throw FormatError(path, CheckpointFiles.isAdapter) }
            }
            guard !hasConfig else { break }
            let all = try PathKind.contents(of: directory).map(\.description).sorted()
            if let gguf = all.first(where: { $0.lowercased().hasSuffix(".gguf") }) {
                throw FormatError(path, "has no config.json, but a GGUF file; give that: \(gguf)")
            }
        case .file:
            let file = try ReadableFile(path)
            _ = try TensorContainers.reader(of: file)
            if Self.isShard(file.name) {
                throw FormatError(path, "is one of several files of weights; give their directory")
            }
            weights = file
            directory = path.parent
        case .missing(let fault): throw FormatError(path, fault + " or directory")
        case .other: throw FormatError(path, "is not a directory or a file")
        }
    }

    /// The snapshot of `refs/main`, or the only one there is; nil if `path` is no entry of Hugging Face's cache.
    private static func snapshot(ofCacheEntry path: FilePath) throws(FormatError) -> FilePath? {
        let snapshots = path.appending("snapshots")
        guard case .directory = PathKind(snapshots), try openIfPresent(path, "config.json") == nil else { return nil }
        if let main = try openIfPresent(path.appending("refs"), "main") {
            let bytes = try main.readAll(limit: 4096)
            let name = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
            guard !name.isEmpty, name != ".", name != "..", !name.contains(where: { $0 == "/" || $0 == "\0" }) else {
                throw FormatError(main.path, "names no snapshot: \(name.shown)")
            }
            let snapshot = snapshots.appending(name)
            guard case .directory = PathKind(snapshot) else {
                throw FormatError(snapshot, "no such directory, but refs/main names it; download the model again")
            }
            return snapshot
        }
        let all = try PathKind.contents(of: snapshots)
        guard all.count == 1 else {
            throw FormatError(path, "has no refs/main and \(all.count) snapshots; give the directory of one of them")
        }
        return all[0]
    }

    /// `model-00001-of-00002.safetensors`
    private static func isShard(_ name: String) -> Bool {
        let parts = name.prefix { $0 != "." }.split(separator: "-")
        return parts.count >= 4 && parts[parts.count - 2] == "of" && Int(parts[parts.count - 1]) ?? 1 > 1
            && Int(parts[parts.count - 3]) != nil
    }
}
