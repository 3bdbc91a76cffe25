import Phi
import PhiFormat
import PhiTokenizer

/// A phi checkpoint, opened and checked: every tensor is there, of the right shape and readable.
///
///     let model = try CheckpointModel(path: "phi-1")
///     let (rows, columns) = model.config.shape(of: .weight(.query(0)))
///     try model.readRows(.weight(.query(0)), 0..<16, into: floats)     // 16 x columns
package struct CheckpointModel: Sendable {
    package let config: ModelConfig
    package let vocabulary: Vocabulary
    package let endsOfText: EndsOfText
    /// How the checkpoint names its tensors.
    package let naming: NamingScheme
    /// The checkpoint's files that were read: config.json, the tokenizer's, the weights'.
    package let ownFiles: [ReadableFile]
    /// These and the adapters'.
    package var files: [ReadableFile] { ownFiles + adapters.flatMap(\.files) }
    /// What was passed over as Hugging Face does, in one line each.
    package internal(set) var warnings: [String]
    /// Whether head and embedding are one tensor.
    let hasTiedHead: Bool

    package internal(set) var tensors: [Parameter: StoredTensor]
    let table: NameTable
    package private(set) var adapters: [Adapter] = []

    package init(path: String, endsOfText: [String] = []) throws(FormatError) {
        try self.init(FilePath(path), endsOfText: endsOfText)
    }

    /// Opens the checkpoint at `path`, a GGUF file or as ``CheckpointPlace`` says. `endsOfText` are ids or tokens to take as ends
    /// of text instead of those that the checkpoint names. `tokenizers` are directories that may have a tokenizer, as those of
    /// adapters do: one that is another than the checkpoint's takes its place, with a warning; two such are refused. Throws
    /// ``FormatError`` with the first fault found; among tensors, the first in the order of the forward pass and how many more
    /// there are. No weight is read.
    package init(
        _ path: FilePath, endsOfText: [String] = [], tokenizers: [FilePath] = []
    ) throws(FormatError) {
        var others: [(directory: FilePath, files: TokenizerFiles)] = []
        for directory in tokenizers where try CheckpointFiles.vocabulary(where: presence(in: directory)) != nil {
            others.append((directory, try TokenizerFiles(directory: directory)))
        }
        if case .file = PathKind(path) {
            let file = try ReadableFile(path)
            if case .gguf? = try FileContent(file) {
                try self.init(gguf: file, endsOfText: endsOfText)
                if let (directory, _) = others.first(where: { $0.files.vocabulary != vocabulary }) {
                    throw FormatError(directory, "has another tokenizer than the GGUF file; convert its base model")
                }
                return
            }
        }
        try self.init(CheckpointPlace(path), endsOfText, others)
    }

    private init(
        _ place: CheckpointPlace, _ endsOfText: [String], _ others: [(directory: FilePath, files: TokenizerFiles)]
    ) throws(FormatError) {
        let directory = place.directory
        var tokenizer = try TokenizerFiles(directory: directory)
        var warnings: [String] = []
        let replacements = others.filter { $0.files.vocabulary != tokenizer.vocabulary }
        if let (replacement, files) = replacements.first {
            if let other = replacements.first(where: { $0.files.vocabulary != files.vocabulary }) {
                throw FormatError(other.directory, "has another tokenizer than \(replacement); merge one of them alone")
            }
            tokenizer = files
            warnings.append(
                "\(replacement): its tokenizer, of \(files.vocabulary.count) tokens, takes the place of the base model's"
            )
        }
        let ends = try EndsOfText(directory: directory, tokenizer.vocabulary, named: endsOfText)
        let config = try CheckpointConfig(
            directory: directory, vocabulary: tokenizer.vocabulary.count, endOfText: Int(ends.bounds.ends[0]),
            tokenizerOf: replacements.first?.directory)
        let checkpoint = try CheckpointTensors(place)
        let layers = config.model.layers
        let names = try TensorNames(checkpoint.tensors, layers: layers, in: directory)
        let table = names.table
        guard table.scheme.fits(modelType: config.modelType) else {
            throw FormatError(
                directory, "has tensors of \(table.scheme.rawValue) names, but model_type \(config.modelType.shown)")
        }
        if let fault = table.fault(config.model) { throw FormatError(config.file.path, fault) }
        self.config = config.model
        vocabulary = tokenizer.vocabulary
        self.endsOfText = ends
        naming = table.scheme
        self.table = table
        ownFiles = [config.file] + ends.files + tokenizer.files + checkpoint.files

        var faults: [FormatError] = []
        var tensors: [Parameter: StoredTensor] = [:]
        var leftOver = names.tensors.filter { !TensorNames.isSkipped($0.key) }
        var seen: Set<String> = []
        for parameter in Parameter.all(layers: layers) {
            if table.lacks(parameter) { continue }
            var name = table.name(of: parameter, layers: layers, names.prefixes)
            if config.isTied, names.tensors[name] == nil, let other = parameter.tied {
                name = table.name(of: other, layers: layers, names.prefixes)
            }
            leftOver[name] = nil
            let isNew = seen.insert(name).inserted  // a fused tensor holds three parameters and is at fault once
            guard let tensor = names.tensors[name] else {
                if isNew { faults.append(FormatError(directory, "has no tensor \(name.shown)")) }
                continue
            }
            tensors[parameter] = tensor
            let shape = table.storedShape(of: parameter, config.model, paddedVocabulary: config.paddedVocabulary)
            if !isNew { continue }
            if tensor.shape != shape {
                let fault = "tensor \(tensor.name.shown) has shape \(tensor.shape), not \(shape)"
                faults.append(FormatError(tensor.file.path, fault))
            } else if let refusal = tensor.refusal {
                faults.append(FormatError(tensor.file.path, refusal))
            }
        }
        // Before version 0.6, peft had no base layers, and the weights that it left out had their names.
        let ofAdapters =
            [".lora_A.", ".lora_B.", ".lora_embedding_", ".lora_magnitude_vector"]
            + (faults.isEmpty ? [] : [".base_layer."])
        if let layer = leftOver.values.map(\.name).filter({ name in ofAdapters.contains { name.contains($0) } }).min() {
            let advice = "save the model that merge_and_unload() returns"
            throw FormatError(directory, "holds an adapter that is not merged, such as \(layer.shown); \(advice)")
        }
        if !faults.isEmpty, let method = config.quantization {
            throw FormatError(
                config.file.path,
                "the weights are quantised by \(method.shown); convert the original model, or save what transformers' "
                    + "dequantize() returns")
        }
        try faults.throwFirst()
        self.tensors = tensors
        let others = leftOver.values.map(\.name).sorted()
        let shown = others.prefix(4).map(\.shown).joined(separator: ", ") + (others.count > 4 ? ", ..." : "")
        let count = others.count == 1 ? "a tensor" : "\(others.count) tensors"
        if let method = config.quantization {
            warnings.append(
                "\(config.file.path): the weights are floats and taken as such, though it says that they are quantised by "
                    + method.shown)
        }
        if !others.isEmpty { warnings.append("\(directory): \(count) that phi does not have, left out: \(shown)") }
        self.warnings = warnings
        hasTiedHead = config.isTied
    }

    /// Writes `rows` of a parameter to `floats`, row-major and exactly. `floats` has exactly as many elements, and the model
    /// has the parameter and the rows. Throws ``FormatError`` when the file cannot be read.
    package func readRows(
        _ parameter: Parameter, _ rows: Range<Int>, into floats: UnsafeMutableBufferPointer<Float>
    ) throws(FormatError) {
        let shape = config.shape(of: parameter)
        precondition(rows.lowerBound >= 0 && rows.upperBound <= shape.rows)
        precondition(floats.count == rows.count * shape.columns)
        let table = adapters.lazy.compactMap { $0.replaced[parameter]?.table }.first ?? table
        guard let tensor = tensors[parameter] else {
            precondition(table.lacks(parameter) || naming == .gguf, "the model has no \(parameter)")
            floats.update(repeating: 0)
            for adapter in adapters { try adapter.update(parameter, rows, config, in: floats) }
            return
        }
        var row = rows.lowerBound
        while row < rows.upperBound {
            let (stored, run) = table.storedRow(row, of: parameter, config)
            let count = min(run, rows.upperBound - row)
            let start = (row - rows.lowerBound) * shape.columns
            try tensor.readFloats(
                stored * shape.columns..<(stored + count) * shape.columns,
                into: UnsafeMutableBufferPointer(rebasing: floats[start..<start + count * shape.columns]))
            row += count
        }
        for adapter in adapters { try adapter.update(parameter, rows, config, in: floats) }
    }

    /// The `fault` of some rows of a parameter, that they are not finite or larger than `limit`: the tensor's, or that of an
    /// adapter that has changed it.
    package func fault(
        of parameter: Parameter, _ rows: Range<Int>, beyond limit: Float = .greatestFiniteMagnitude, _ fault: String
    ) -> FormatError {
        var bare = self
        bare.adapters = adapters.filter { $0.replaced[parameter] != nil }
        let count = rows.count * config.shape(of: parameter).columns
        let floats = UnsafeMutableBufferPointer<Float>.allocate(capacity: count)
        defer { floats.deallocate() }
        floats.initialize(repeating: 0)
        let isOfBase =
            (try? bare.readRows(parameter, rows, into: floats)) == nil
            || !floats.allSatisfy { $0.magnitude <= limit }
        let name = table.name(of: parameter, layers: config.layers, Prefixes(body: table.body, outside: ""))
        if !isOfBase, let adapter = adapters.last(where: { $0.changes(parameter) }) {
            return FormatError(adapter.directory, "its update of \((tensors[parameter]?.name ?? name).shown) \(fault)")
        }
        guard let tensor = tensors[parameter] else { return FormatError(ownFiles[0].path, "\(name.shown) \(fault)") }
        return FormatError(tensor.file.path, "tensor \(tensor.name.shown) \(fault)")
    }

    /// Returns the model with adapters merged into it, in f32, when its parameters are read. Throws ``FormatError`` when two
    /// adapters replace one parameter.
    package func merging(_ adapters: [Adapter]) throws(FormatError) -> CheckpointModel {
        var model = self
        for adapter in adapters {
            for (parameter, replacement) in adapter.replaced {
                if model.adapters.contains(where: { $0.replaced[parameter] != nil }) {
                    let name = replacement.tensor.name.shown
                    throw FormatError(adapter.directory, "replaces \(name), as another adapter does")
                }
                model.tensors[parameter] = replacement.tensor
            }
            model.adapters.append(adapter)
            let tied = [Parameter.weight(.embedding), .weight(.head)].filter(adapter.changes)
            if hasTiedHead, tied.count == 1 {
                let other = tied == [.weight(.head)] ? "embedding" : "head"
                model.warnings.append(
                    "\(adapter.directory): changes one of head and embedding, which are one tensor; the \(other) stays the base "
                        + "model's, as in peft's forward pass, unlike after merge_and_unload")
            }
        }
        return model
    }
}

extension Parameter {
    /// The parameter that has the same values where the config ties the head to the embedding; nil for others.
    fileprivate var tied: Parameter? {
        switch self {
        case .weight(.head): .weight(.embedding)
        case .weight(.embedding): .weight(.head)
        default: nil
        }
    }
}
