import PhiFormat

/// A file format that holds named tensors, as a reader of its files.
///
/// A new format is a type that conforms, and its entry in ``TensorContainers/all``.
protocol TensorContainer: SendableMetatype {
    /// The file name of a whole checkpoint in this format; with `.index.json` behind it, that of an index of shards.
    static var fileName: String { get }

    /// Lists the tensors of `file` without reading their elements. Throws ``FormatError`` with the first rule of the format
    /// that the file breaks; a tensor that is sound but cannot be read has a ``StoredTensor/refusal``.
    static func tensors(of file: ReadableFile) throws(FormatError) -> [StoredTensor]
}

/// The formats that are read.
enum TensorContainers {
    /// In order of preference, where a directory holds several.
    static let all: [any TensorContainer.Type] = [Safetensors.self, TorchArchive.self]
}
