import Phi
import PhiCheckpoint
import PhiFormat
import PhiTokenizer

/// Writes a model as a GGUF file of llama.cpp's architecture `phi2`, with the keys and names of its own converter.
///
/// ```swift
/// try GGUFExporter(LanguageModel(contentsOf: "phi-1.phi"), type: .f16).write(to: "phi-1.gguf")
/// ```
///
/// A `.phi` file has the sum of a block's two output biases; the sum becomes `ffn_down.bias`, and `attn_output.bias` is zero.
package struct GGUFExporter {
    /// Ends of text that a GGUF file can have: those of text, turn and message.
    package static let mostEnds = 3

    private let model: LanguageModel
    private let type: ExportType
    private let plan: ConversionPlan

    /// An export of `model` with matrices of `type`. Throws ``FormatError`` for a shape that llama.cpp's phi2 cannot have.
    package init(_ model: LanguageModel, type: ExportType) throws(FormatError) {
        guard model.config.querySize == model.config.hiddenSize else {
            throw FormatError(
                model.file.path,
                "has a hidden size of \(model.config.hiddenSize), but heads as wide as \(model.config.querySize) in all, "
                    + "which llama.cpp's phi2 cannot have")
        }
        self.model = model
        self.type = type
        plan = ConversionPlan(model.config, model.textBounds, .f32)  // only its sections and modules are used
    }

    /// Writes the file. Throws ``FormatError`` when a weight is too large for the type or the file cannot be written; then
    /// `path` is as it was.
    ///
    /// - Parameter progress: Gets the share that is done, 0 to 1; returns false to stop, which throws `CancellationError`.
    package func write(
        to path: FilePath, overwrite: Bool = false, progress: (Double) -> Bool = { _ in true }
    ) throws {
        let file = try AtomicFile(path, overwrite: overwrite, sources: [FilePath(model.file.path)])
        var header = GGUFHeader()
        addShape(to: &header)
        try addTokenizer(to: &header)
        let tensors = try Parameter.all(layers: model.config.layers).map {
            try ExportedTensor($0, of: model.file, plan, type)
        }
        for tensor in tensors {
            header.add(tensor: tensor.name, shape: tensor.shape, type: tensor.type, bytes: tensor.bytes)
        }
        try file.append(header.contents)
        let start = file.position
        for tensor in tensors {
            try tensor.write { bytes in
                try file.append(bytes)
                let share = Double(file.position - start) / Double(header.dataBytes)
                guard progress(share) else { throw CancellationError() }
            }
            let end = GGUFHeader.aligned(file.position)
            try file.append([UInt8](repeating: 0, count: end - file.position))
        }
        try file.commit()
    }

    /// The model's name, which a `.phi` file does not have: that of the file.
    private var name: String {
        let name = FilePath(model.file.path).name
        return name.hasSuffix(".phi") && name.utf8.count > 4 ? String(name.dropLast(4)) : name
    }

    private func addShape(to header: inout GGUFHeader) {
        let config = model.config
        header.add("general.architecture", "phi2")
        header.add("general.name", name)
        header.add("general.type", "model")
        header.add("phi2.context_length", UInt32(config.context))
        header.add("phi2.embedding_length", UInt32(config.hiddenSize))
        header.add("phi2.feed_forward_length", UInt32(config.intermediateSize))
        header.add("phi2.block_count", UInt32(config.layers))
        header.add("phi2.attention.head_count", UInt32(config.heads))
        header.add("phi2.attention.head_count_kv", UInt32(config.kvHeads))
        header.add("phi2.attention.layer_norm_epsilon", config.layerNormEpsilon)
        header.add("phi2.rope.dimension_count", UInt32(config.rotaryDimensions))
        header.add("phi2.rope.freq_base", config.rotaryBase)
        header.add("general.file_type", type.fileNumber)
        header.add("general.quantization_version", UInt32(2))
    }

    /// Types of tokens (`llama_token_type`).
    private enum TokenType {
        static let normal: Int32 = 1, control: Int32 = 3, userDefined: Int32 = 4, unused: Int32 = 5
    }

    private func addTokenizer(to header: inout GGUFHeader) throws(FormatError) {
        let vocabulary = model.tokenizer.vocabulary
        let added = Dictionary(uniqueKeysWithValues: vocabulary.addedTokens.map { ($0.id, $0) })
        var seen: [[UInt8]: Int] = [:]
        var tokens: [[UInt8]] = [], types: [Int32] = []
        for id in 0..<vocabulary.count {
            let bytes = vocabulary.bytes(of: TokenID(id))
            if let token = added[TokenID(id)] {
                tokens.append(Array(bytes))
                types.append(token.isSpecial ? TokenType.control : TokenType.userDefined)
            } else if bytes.isEmpty {
                tokens.append(Array("[PAD\(id)]".utf8))
                types.append(TokenType.unused)
            } else {
                tokens.append(Array(ByteLevelAlphabet.text(of: bytes).utf8))
                types.append(TokenType.normal)
            }
            if let other = seen.updateValue(id, forKey: tokens[id]) {
                throw FormatError(
                    model.file.path, "tokens \(other) and \(id) have the same text, which llama.cpp does not take")
            }
        }
        header.add("tokenizer.ggml.model", "gpt2")
        header.add("tokenizer.ggml.pre", "phi-2")
        header.add("tokenizer.ggml.tokens", tokens)
        header.add("tokenizer.ggml.token_type", types)
        header.add(
            "tokenizer.ggml.merges",
            vocabulary.merges.map { merge in
                let pair = [merge.left, merge.right].map { ByteLevelAlphabet.text(of: vocabulary.bytes(of: $0)) }
                return Array(pair.joined(separator: " ").utf8)
            })
        header.add("tokenizer.ggml.bos_token_id", UInt32(model.textBounds.start))
        header.add("tokenizer.ggml.eos_token_id", UInt32(model.textBounds.ends[0]))
        for (name, end) in zip(["eot", "eom"], model.textBounds.ends.dropFirst()) {
            header.add("tokenizer.ggml.\(name)_token_id", UInt32(end))
        }
        header.add("tokenizer.ggml.add_bos_token", false)
    }
}
