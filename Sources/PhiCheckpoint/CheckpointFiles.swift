import PhiFormat
import PhiJSON

/// The choice among a checkpoint's files. The readers make it in a directory, and a download makes it in a list of names, so that
/// what is downloaded is what is read.
package enum CheckpointFiles {
    /// Asks whether there is a file of this name.
    typealias Presence = (String) throws(FormatError) -> Bool

    static let config = "config.json"
    static let adapterConfig = "adapter_config.json"

    /// The files that may name ends of text, in the order in which they are asked.
    static let endsOfText = ["generation_config.json", config, "tokenizer_config.json", "special_tokens_map.json"]

    /// The files that change what the vocabulary's own say.
    static let tokenizerSettings = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"]

    /// The files of the vocabulary: `tokenizer.json`, or else both of GPT-2's; nil if there are none.
    static func vocabulary(where isPresent: Presence) throws(FormatError) -> [String]? {
        if try isPresent("tokenizer.json") { return ["tokenizer.json"] }
        return try isPresent("vocab.json") ? ["vocab.json", "merges.txt"] : nil
    }

    /// The file of weights, or the index of its shards, of the first format of ``TensorContainers/all`` that is there.
    static func weights(
        where isPresent: Presence
    ) throws(FormatError) -> (container: any TensorContainer.Type, name: String, isIndex: Bool)? {
        for container in TensorContainers.all {
            if try isPresent(container.fileName) { return (container, container.fileName, false) }
            let index = container.fileName + ".index.json"
            if try isPresent(index) { return (container, index, true) }
        }
        return nil
    }

    /// The file of an adapter's weights.
    static func adapterWeights(
        where isPresent: Presence
    ) throws(FormatError) -> (container: any TensorContainer.Type, name: String)? {
        for container in TensorContainers.all {
            let name = adapterName(container)
            if try isPresent(name) { return (container, name) }
        }
        return nil
    }

    private static func adapterName(_ container: any TensorContainer.Type) -> String {
        "adapter_model" + container.fileName.drop { $0 != "." }
    }

    /// What a directory or a list lacks that has no vocabulary, no weights, or no adapter.
    static let noVocabulary = "holds no tokenizer: no tokenizer.json, no vocab.json with merges.txt"
    static let noWeights: String = {
        let names = TensorContainers.all.flatMap { [$0.fileName, $0.fileName + ".index.json"] }
        return "holds no checkpoint: no \(names.joined(separator: ", no "))"
    }()
    static let noAdapter = "holds no adapter: no \(TensorContainers.all.map(adapterName).joined(separator: ", no "))"
    static let isAdapter = "is a PEFT adapter, not a model; give it by --adapter when its base model is converted"

    /// The index of shards: where each tensor is.
    struct Index: Decodable {
        let weight_map: [String: String]

        /// Reads the index in `file`. Throws ``FormatError`` also when it names a file that does not lie beside it.
        init(_ file: ReadableFile) throws(FormatError) {
            self = try JSONText.decode(Index.self, from: file)
            for name in weight_map.values {
                // No folders, no way up, no absolute paths.
                let leads = name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 == 0 }
                guard !name.isEmpty, name != ".", name != "..", !leads else {
                    throw FormatError(file.path, "names a file outside its directory: \(name.shown)")
                }
            }
        }

        var shards: [String] { Set(weight_map.values).sorted() }
    }
}

/// A repository's files that a reader opens, by their names.
package struct NeededFiles: Sendable, Equatable {
    /// All but shards, the weights last.
    package let names: [String]
    /// Which of them is an index, whose shards are needed too.
    package let index: String?

    /// Chooses the files of a model or an adapter among `names`. Throws ``FormatError`` about `repository` when it is none.
    package init(of kind: Kind, in repository: String, among names: Set<String>) throws(FormatError) {
        func refused(_ fault: String) -> FormatError { FormatError(repository, fault) }
        let isPresent: CheckpointFiles.Presence = { name in names.contains(name) }
        if kind == .adapter {
            guard names.contains(CheckpointFiles.adapterConfig) else {
                throw refused("holds no adapter: no \(CheckpointFiles.adapterConfig)")
            }
            guard let weights = try CheckpointFiles.adapterWeights(where: isPresent) else {
                throw refused(CheckpointFiles.noAdapter)
            }
            // A tokenizer, if it has one.
            let vocabulary = try CheckpointFiles.vocabulary(where: isPresent)?.filter(names.contains) ?? []
            let settings = vocabulary.isEmpty ? [] : CheckpointFiles.tokenizerSettings.filter(names.contains)
            (self.names, index) = ([CheckpointFiles.adapterConfig] + settings + vocabulary + [weights.name], nil)
            return
        }
        let weights = try CheckpointFiles.weights(where: isPresent)
        guard names.contains(CheckpointFiles.config) else {
            if names.contains(CheckpointFiles.adapterConfig) { throw refused(CheckpointFiles.isAdapter) }
            if weights == nil, let fault = Self.ggufFault(names, repository) { throw refused(fault) }
            throw refused("has no \(CheckpointFiles.config)")
        }
        guard let weights else {
            if names.contains(CheckpointFiles.adapterConfig) { throw refused(CheckpointFiles.isAdapter) }
            throw refused(Self.ggufFault(names, repository) ?? CheckpointFiles.noWeights)
        }
        guard let vocabulary = try CheckpointFiles.vocabulary(where: isPresent) else {
            throw refused(CheckpointFiles.noVocabulary)
        }
        if let name = vocabulary.first(where: { !names.contains($0) }) { throw refused("has no \(name)") }
        let optional = Set(CheckpointFiles.endsOfText + CheckpointFiles.tokenizerSettings)
            .subtracting([CheckpointFiles.config]).intersection(names).sorted()
        self.names = [CheckpointFiles.config] + optional + vocabulary + [weights.name]
        index = weights.isIndex ? weights.name : nil
    }

    package enum Kind: Sendable {
        case model, adapter
    }

    /// The shards that the index in `file` names.
    package static func shards(of file: ReadableFile) throws(FormatError) -> [String] {
        try CheckpointFiles.Index(file).shards
    }

    /// What to do about a repository with GGUF files alone.
    private static func ggufFault(_ names: Set<String>, _ repository: String) -> String? {
        let files = names.filter { $0.lowercased().hasSuffix(".gguf") }.sorted()
        guard let first = files.first else { return nil }
        let shown = files.prefix(3).map(\.shown).joined(separator: ", ") + (files.count > 3 ? ", ..." : "")
        return "holds no checkpoint but GGUF files (\(shown)); download one, "
            + "`hf download \(repository) \(first.shown) --local-dir .`, and convert that file"
    }
}
