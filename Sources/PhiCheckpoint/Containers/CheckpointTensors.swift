import PhiFormat

/// The tensors of a checkpoint directory as `save_pretrained` writes it: one file, or several shards with an index.
package struct CheckpointTensors: Sendable {
    /// The index, if there is one, followed by the files that hold the tensors.
    package let files: [ReadableFile]
    package let tensors: [String: StoredTensor]

    /// Opens the files of the checkpoint at `place` and reads their headers: of the file of weights that was given, or else of
    /// the first format of ``TensorContainers/all`` that is there, the whole file before the index. Throws ``FormatError`` when
    /// there is none, a file is damaged, the index names a file that is missing or outside the directory or a tensor that is not
    /// where it says, or two files hold tensors of one name.
    package init(_ place: CheckpointPlace) throws(FormatError) {
        let directory = place.directory
        if let file = place.weights {
            files = [file]
            tensors = try Self.merge(files, TensorContainers.reader(of: file))
            return
        }
        let weights = try CheckpointFiles.weights(where: presence(in: directory))
        guard let (container, name, isIndex) = weights else { throw FormatError(directory, CheckpointFiles.noWeights) }
        let file = try ReadableFile(directory.appending(name))
        if isIndex {
            (files, tensors) = try Self.readShards(of: file, in: directory, container)
        } else {
            files = [file]
            tensors = try Self.merge(files, container)
        }
    }

    private static func readShards(
        of index: ReadableFile, in directory: FilePath, _ container: any TensorContainer.Type
    ) throws(FormatError) -> ([ReadableFile], [String: StoredTensor]) {
        let contents = try CheckpointFiles.Index(index)
        var shards: [ReadableFile] = []
        for name in contents.shards {
            let path = directory.appending(name)
            if case .missing(let fault) = PathKind(path) {
                throw FormatError(path, "\(fault), but the index names it")
            }
            shards.append(try ReadableFile(path))
        }
        let tensors = try merge(shards, container)
        for (tensor, name) in contents.weight_map.sorted(by: { $0.key < $1.key }) {
            guard tensors[tensor]?.file.location == directory.appending(name) else {
                throw FormatError(directory.appending(name), "has no tensor \(tensor.shown), but the index says so")
            }
        }
        return ([index] + shards, tensors)
    }

    private static func merge(
        _ files: [ReadableFile], _ container: any TensorContainer.Type
    ) throws(FormatError) -> [String: StoredTensor] {
        var tensors: [String: StoredTensor] = [:]
        for file in files {
            for tensor in try container.tensors(of: file) {
                if let other = tensors.updateValue(tensor, forKey: tensor.name) {
                    throw FormatError(file.path, "holds tensor \(tensor.name.shown), and so does \(other.file.path)")
                }
            }
        }
        return tensors
    }
}
