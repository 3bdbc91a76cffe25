import PhiFormat

/// A file format that holds named tensors, as a reader of its files.
///
/// A new format is a type that conforms, and its entry in ``TensorContainers/all``.
protocol TensorContainer: SendableMetatype {
    /// The file name of a whole checkpoint in this format; with `.index.json` behind it, that of an index of shards.
    static var fileName: String { get }
    /// What its files begin with, and their name in errors: "a safetensors file".
    static var content: FileContent { get }
    static var noun: String { get }

    /// Lists the tensors of `file` without reading their elements. Throws ``FormatError`` with the first rule of the format
    /// that the file breaks; a tensor that is sound but cannot be read has a ``StoredTensor/refusal``.
    static func tensors(of file: ReadableFile) throws(FormatError) -> [StoredTensor]
}

extension TensorContainer {
    /// Throws ``FormatError`` when `file` is of another known kind. One in the other format has only the wrong name.
    static func checkContent(of file: ReadableFile) throws(FormatError) {
        guard let content = try FileContent(file), content != Self.content else { return }
        guard let other = TensorContainers.all.first(where: { $0.content == content }) else {
            throw content.fault(of: file.path, insteadOf: noun)
        }
        throw FormatError(file.path, "is \(other.noun), not \(noun); rename it to \(other.fileName)")
    }
}

/// The formats that are read.
enum TensorContainers {
    /// In order of preference, where a directory holds several.
    static let all: [any TensorContainer.Type] = [Safetensors.self, TorchArchive.self]

    /// The format of a file of any name, by its first bytes. Throws ``FormatError`` when it is in none.
    static func reader(of file: ReadableFile) throws(FormatError) -> any TensorContainer.Type {
        switch try FileContent(file) {
        case .safetensors: return Safetensors.self
        case .torchArchive: return TorchArchive.self
        case let content?: throw content.fault(of: file.path, insteadOf: "a checkpoint's weights")
        case nil:
            if try LegacyTorchFile.canRead(file) { return TorchArchive.self }
            throw FormatError(file.path, "holds no weights that are known; give the checkpoint's directory")
        }
    }
}
