import Phi
import PhiFormat
import PhiTokenizer

/// A phi checkpoint, opened and checked: every tensor is there, of the right shape and readable, and none is left over.
///
///     let model = try CheckpointModel(directory: "phi-1")
///     let (rows, columns) = model.shape(of: .weight(.query(0)))
///     try model.readRows(.weight(.query(0)), 0..<16, into: floats)     // 16 x columns
public struct CheckpointModel: Sendable {
    /// The model's shape.
    public let config: ModelConfig
    /// The tokenizer's tokens and merges.
    public let vocabulary: Vocabulary
    /// What the checkpoint calls its tensors.
    public let naming: Naming
    /// All files that were read: config.json, the tokenizer's, the weights'.
    public let files: [ReadableFile]

    package let tensors: [Part: StoredTensor]
    private let attention: NameTable.Attention

    /// Opens the checkpoint in `directory`. Throws ``FormatError`` with the first fault found; among tensors, the
    /// first in the order of the forward pass and how many more there are. No weight is read.
    public init(directory: String) throws(FormatError) {
        try requireDirectory(directory)
        let tokenizer = try TokenizerFiles(directory: directory)
        let config = try CheckpointConfig(
            directory: directory, vocabulary: tokenizer.vocabulary.count,
            endOfText: tokenizer.endOfText.map { Int($0) })
        let checkpoint = try Checkpoint(directory: directory)
        let layers = config.model.layers
        guard let table = NameTable.detect(in: checkpoint.tensors.keys, layers: layers) else {
            let example = checkpoint.tensors.keys.min().map { "such as \($0.shown)" } ?? "there are none"
            throw FormatError(directory, "has tensors with names that phi's never had, \(example)")
        }
        self.config = config.model
        vocabulary = tokenizer.vocabulary
        naming = table.naming
        attention = table.attention
        files = [config.file] + tokenizer.files + checkpoint.files
        if !table.attention.isSplit, config.model.kvHeads != config.model.heads {
            let fault = "grouped-query attention is not known with \(table.naming.rawValue) names"
            throw FormatError(config.file.path, fault)
        }

        var faults: [FormatError] = []
        var tensors: [Part: StoredTensor] = [:]
        var leftOver = checkpoint.tensors.filter { !NameTable.isSkipped($0.key) }
        var seen: Set<String> = []
        for part in Part.all(layers: layers) {
            let name = table.name(of: part, layers: layers)
            leftOver[name] = nil
            let isNew = seen.insert(name).inserted  // a fused tensor serves three parts and is at fault once
            guard let tensor = checkpoint.tensors[name] else {
                if isNew { faults.append(FormatError(directory, "has no tensor \(name.shown)")) }
                continue
            }
            tensors[part] = tensor
            let shape = table.storedShape(of: part, config.model, paddedVocabulary: config.paddedVocabulary)
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

    /// Rows and columns of a part; a vector has one column, and the embedding and the head have a row for each real token.
    public func shape(of part: Part) -> (rows: Int, columns: Int) { config.shape(of: part) }

    /// Writes the given rows of a part to `floats`, row-major and exactly. `floats` holds just that many elements, and the part
    /// and the rows are ones that the model has. Throws ``FormatError`` when the file cannot be read.
    public func readRows(
        _ part: Part, _ rows: Range<Int>, into floats: UnsafeMutableBufferPointer<Float>
    ) throws(FormatError) {
        let shape = shape(of: part)
        guard let tensor = tensors[part] else { preconditionFailure("the model has no part \(part)") }
        precondition(rows.lowerBound >= 0 && rows.upperBound <= shape.rows)
        precondition(floats.count == rows.count * shape.columns)
        var row = rows.lowerBound
        while row < rows.upperBound {
            let (stored, run) = attention.storedRow(row, of: part, config)
            let count = min(run, rows.upperBound - row)
            let start = (row - rows.lowerBound) * shape.columns
            try tensor.readFloats(
                stored * shape.columns..<(stored + count) * shape.columns,
                into: UnsafeMutableBufferPointer(rebasing: floats[start..<start + count * shape.columns]))
            row += count
        }
    }
}
