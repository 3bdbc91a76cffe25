import Phi
import PhiFormat
import PhiTokenizer

/// A phi checkpoint, opened and checked: every tensor is there, of the right shape and readable, and none is left over.
///
///     let model = try CheckpointModel(directory: "phi-1")
///     let (rows, columns) = model.config.shape(of: .weight(.query(0)))
///     try model.readRows(.weight(.query(0)), 0..<16, into: floats)     // 16 x columns
package struct CheckpointModel: Sendable {
    package let config: ModelConfig
    package let vocabulary: Vocabulary
    package let endsOfText: EndsOfText
    /// How the checkpoint names its tensors.
    package let naming: NamingScheme
    /// All files that were read: config.json, the tokenizer's, the weights'.
    package let files: [ReadableFile]

    package let tensors: [Parameter: StoredTensor]
    let attention: NameTable.Attention

    /// Opens the checkpoint in `directory`. `endsOfText` are ids or tokens to take as ends of text instead of those that the
    /// checkpoint names. Throws ``FormatError`` with the first fault found; among tensors, the first in the order of the
    /// forward pass and how many more there are. No weight is read.
    package init(directory: String, endsOfText: [String] = []) throws(FormatError) {
        switch PathKind(directory) {
        case .directory: break
        case .missing: throw FormatError(directory, "no such directory")
        default: throw FormatError(directory, "is not a directory; a checkpoint is a directory with config.json")
        }
        let tokenizer = try TokenizerFiles(directory: directory)
        let ends = try EndsOfText(directory: directory, tokenizer.vocabulary, named: endsOfText)
        let config = try CheckpointConfig(
            directory: directory, vocabulary: tokenizer.vocabulary.count, endOfText: Int(ends.bounds.ends[0]))
        let checkpoint = try CheckpointTensors(directory: directory)
        let layers = config.model.layers
        guard let table = NameTable.detect(in: checkpoint.tensors.keys, layers: layers) else {
            guard let example = checkpoint.tensors.keys.min() else { throw FormatError(directory, "holds no tensors") }
            let known = NameTable.all.map { $0.name(of: .weight(.query(0)), layers: layers) }.joined(separator: ", ")
            throw FormatError(
                directory, "unrecognised tensor naming, such as \(example.shown); known schemes: \(known)")
        }
        self.config = config.model
        vocabulary = tokenizer.vocabulary
        self.endsOfText = ends
        naming = table.scheme
        attention = table.attention
        files = [config.file] + ends.files + tokenizer.files + checkpoint.files
        if !table.attention.isSplit, config.model.kvHeads != config.model.heads {
            let fault = "grouped-query attention is not known with \(table.scheme.rawValue) names"
            throw FormatError(config.file.path, fault)
        }

        var faults: [FormatError] = []
        var tensors: [Parameter: StoredTensor] = [:]
        var leftOver = checkpoint.tensors.filter { !NameTable.isSkipped($0.key) }
        var seen: Set<String> = []
        for parameter in Parameter.all(layers: layers) {
            let name = table.name(of: parameter, layers: layers)
            leftOver[name] = nil
            let isNew = seen.insert(name).inserted  // a fused tensor holds three parameters and is at fault once
            guard let tensor = checkpoint.tensors[name] else {
                if isNew { faults.append(FormatError(directory, "has no tensor \(name.shown)")) }
                continue
            }
            tensors[parameter] = tensor
            let shape = table.storedShape(of: parameter, config.model, paddedVocabulary: config.paddedVocabulary)
            if !isNew { continue }
            if tensor.shape != shape {
                let fault = "tensor \(name.shown) has shape \(tensor.shape), not \(shape)"
                faults.append(FormatError(tensor.file.path, fault))
            } else if let refusal = tensor.refusal {
                faults.append(FormatError(tensor.file.path, refusal))
            }
        }
        for tensor in leftOver.values.sorted(by: { $0.name < $1.name }) {
            faults.append(FormatError(tensor.file.path, "has tensor \(tensor.name.shown), which no phi model has"))
        }
        if let first = faults.first {
            let more = faults.count == 1 ? "" : " (and \(faults.count - 1) more such faults)"
            throw FormatError(first.file, first.fault + more)
        }
        self.tensors = tensors
    }

    /// Writes `rows` of a parameter to `floats`, row-major and exactly. `floats` has exactly as many elements, and the model
    /// has the parameter and the rows. Throws ``FormatError`` when the file cannot be read.
    package func readRows(
        _ parameter: Parameter, _ rows: Range<Int>, into floats: UnsafeMutableBufferPointer<Float>
    ) throws(FormatError) {
        let shape = config.shape(of: parameter)
        guard let tensor = tensors[parameter] else { preconditionFailure("the model has no \(parameter)") }
        precondition(rows.lowerBound >= 0 && rows.upperBound <= shape.rows)
        precondition(floats.count == rows.count * shape.columns)
        var row = rows.lowerBound
        while row < rows.upperBound {
            let (stored, run) = attention.storedRow(row, of: parameter, config)
            let count = min(run, rows.upperBound - row)
            let start = (row - rows.lowerBound) * shape.columns
            try tensor.readFloats(
                stored * shape.columns..<(stored + count) * shape.columns,
                into: UnsafeMutableBufferPointer(rebasing: floats[start..<start + count * shape.columns]))
            row += count
        }
    }
}
