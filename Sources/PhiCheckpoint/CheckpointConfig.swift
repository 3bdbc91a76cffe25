import Phi
import PhiFormat
import PhiJSON

/// A checkpoint's `config.json`, with either of its two sets of keys: today's `PhiConfig`
/// (transformers, `models/phi/configuration_phi.py`) or those of phi's first publications
/// (`model_type` `mixformer-sequential` and `phi-msft`), which CodeGen and GPT-J share.
package struct CheckpointConfig: Sendable {
    package let file: ReadableFile
    package let model: ModelConfig
    /// `model_type`, one of ``modelTypes``.
    let modelType: String
    /// Rows of the embedding and the head, of which the vocabulary's are the first.
    package let paddedVocabulary: Int
    /// Whether the head's weight is the embedding's where the checkpoint has none of its own.
    let isTied: Bool
    /// The method by which the weights are quantised, if the file says that they are.
    let quantization: String?

    /// Reads `config.json` in `directory` for a tokenizer of `vocabulary` tokens, of an adapter if there is one, and texts that end
    /// by `endOfText`.
    ///
    /// Throws ``FormatError`` for a missing or damaged file, for a shape that no phi model has, and for any key that would
    /// change the computation in a way that the engine does not support.
    package init(
        directory: FilePath, vocabulary: Int, endOfText: Int, tokenizerOf adapter: FilePath? = nil
    ) throws(FormatError) {
        let file = try ReadableFile(directory.appending(CheckpointFiles.config))
        func refused(_ fault: String) -> FormatError { FormatError(file.path, fault) }
        let keys = try JSONText.decode(ConfigKeys.self, from: file)
        func need<Value>(_ value: Value?, _ name: String) throws(FormatError) -> Value {
            guard let value else { throw refused("has no '\(name)'") }
            return value
        }

        let type = try need(keys.model_type, "model_type")
        guard Self.modelTypes.contains(type) else {
            throw refused("model_type \(type.shown) is not supported; \(Self.modelTypes.joined(separator: ", ")) are")
        }
        if keys.qk_layernorm == true { throw refused("qk_layernorm is true; that is not supported") }
        let activation = keys.hidden_act ?? keys.activation_function ?? "gelu_new"
        guard activation == "gelu_new" || activation == "gelu_pytorch_tanh" else {
            throw refused("activation \(activation.shown) is not supported; phi has gelu_new")
        }

        let isFirst = keys.isFirst
        func either(_ first: Int?, _ firstName: String, _ now: Int?, _ name: String) throws(FormatError) -> Int {
            isFirst ? try need(first, firstName) : try need(now, name)
        }
        let hidden = try either(keys.n_embd, "n_embd", keys.hidden_size, "hidden_size")
        let heads = try either(keys.n_head, "n_head", keys.num_attention_heads, "num_attention_heads")
        let layers = try either(keys.n_layer, "n_layer", keys.num_hidden_layers, "num_hidden_layers")
        let context = try either(
            keys.n_positions, "n_positions", keys.max_position_embeddings, "max_position_embeddings")
        let rows = try need(keys.vocab_size, "vocab_size")
        // ModelConfig checks all bounds; these are the ones that the arithmetic here relies on.
        guard (1...1024).contains(heads), (1...65_536).contains(hidden) else {
            throw refused("hidden size \(hidden) or \(heads) heads cannot be true")
        }
        guard keys.head_dim != nil || hidden % heads == 0 else {
            throw refused("hidden size \(hidden) is not a multiple of its \(heads) heads")
        }
        let headSize = keys.head_dim ?? hidden / heads
        let intermediate =
            isFirst ? keys.n_inner ?? 4 * hidden : try need(keys.intermediate_size, "intermediate_size")
        guard vocabulary <= rows else {
            if let adapter {
                throw FormatError(
                    adapter,
                    "its tokenizer has \(vocabulary) tokens, but the base model only \(rows) rows; \(AdapterConfig.advice)"
                )
            }
            throw refused(
                "vocab_size is \(rows), but the tokenizer has \(vocabulary) tokens; resize the model's embeddings to them, or remove "
                    + "tokens from the tokenizer's files")
        }
        let rotary = try keys.rotary(headSize: headSize, of: file)
        do {
            model = try ModelConfig(
                hiddenSize: hidden, intermediateSize: intermediate, layers: layers, heads: heads,
                kvHeads: (isFirst ? keys.n_head_kv : keys.num_key_value_heads) ?? heads, headSize: headSize,
                rotaryDimensions: rotary.dimensions, context: context, vocabulary: vocabulary, endOfText: endOfText,
                rotaryBase: Float(rotary.base),
                layerNormEpsilon: Float((isFirst ? keys.layer_norm_epsilon : keys.layer_norm_eps) ?? 1e-5))
        } catch {
            throw refused(error.fault)
        }
        self.file = file
        modelType = type
        paddedVocabulary = rows
        isTied = keys.tie_word_embeddings ?? false
        quantization = keys.quantization_config.map { $0.quant_method ?? "an unknown method" }
    }

    /// The types that are converted. CodeGen and GPT-J have phi's block, without biases in attention.
    static let modelTypes = ["phi", "phi-msft", "mixformer-sequential", "codegen", "gptj"]
}

extension ConfigKeys {
    /// The rotary embedding, from the keys of three generations of config.json.
    fileprivate func rotary(
        headSize: Int, of file: ReadableFile
    ) throws(FormatError) -> (dimensions: Int, base: Double) {
        func refused(_ fault: String) -> FormatError { FormatError(file.path, fault) }
        let scaling = rope_scaling.flatMap { $0.isEmpty ? nil : $0 }
        for (name, scaling) in [("rope_scaling", scaling), ("rope_parameters", rope_parameters)] {
            guard let scaling else { continue }
            let type = scaling.rope_type ?? scaling.type ?? (name == "rope_scaling" ? "" : "default")
            if type != "default" { throw refused("\(name) of type \(type.shown) is not supported") }
        }
        // transformers 5 takes rope_scaling, or else rope_parameters, and then the keys at top level.
        let rope = scaling ?? rope_parameters
        let base = rope?.rope_theta ?? rope_theta ?? 10_000
        if isFirst {
            guard let rotary_dim else { throw refused("has no 'rotary_dim'") }
            return (min(rotary_dim, headSize), base)
        }
        let factor = rope?.partial_rotary_factor ?? partial_rotary_factor ?? 0.5
        let product = Double(headSize) * factor
        guard product >= 0, product <= Double(headSize), let dimensions = Int(exactly: product.rounded(.down)) else {
            throw refused("partial_rotary_factor is \(factor), not 0 to 1, or head_dim \(headSize) cannot be true")
        }
        return (dimensions, base)
    }
}

/// The keys that are read, by their names in the file. All others concern training or other runtimes.
private struct ConfigKeys: Decodable {
    let model_type: String?
    let vocab_size: Int?
    let tie_word_embeddings: Bool?
    let quantization_config: Quantization?
    // PhiConfig
    let hidden_size: Int?
    let intermediate_size: Int?
    let num_hidden_layers: Int?
    let num_attention_heads: Int?
    let num_key_value_heads: Int?
    let head_dim: Int?
    let max_position_embeddings: Int?
    let hidden_act: String?
    let layer_norm_eps: Double?
    let qk_layernorm: Bool?
    let partial_rotary_factor: Double?
    let rope_theta: Double?
    let rope_parameters: Rope?
    let rope_scaling: Rope?
    // mixformer-sequential, phi-msft
    let n_embd: Int?
    let n_inner: Int?
    let n_layer: Int?
    let n_head: Int?
    let n_head_kv: Int?
    let n_positions: Int?
    let rotary_dim: Int?
    let activation_function: String?
    let layer_norm_epsilon: Double?

    /// Whether the file has the keys of the first publications.
    var isFirst: Bool { n_embd != nil && hidden_size == nil }

    struct Quantization: Decodable { let quant_method: String? }

    struct Rope: Decodable {
        let rope_type: String?
        let type: String?
        let rope_theta: Double?
        let partial_rotary_factor: Double?
        /// Whether the object has no keys, which is as if it were left out.
        let isEmpty: Bool

        private enum Key: String, CodingKey { case rope_type, type, rope_theta, partial_rotary_factor }

        init(from decoder: any Decoder) throws {
            let keys = try decoder.container(keyedBy: Key.self)
            rope_type = try keys.decodeIfPresent(String.self, forKey: .rope_type)
            type = try keys.decodeIfPresent(String.self, forKey: .type)
            rope_theta = try keys.decodeIfPresent(Double.self, forKey: .rope_theta)
            partial_rotary_factor = try keys.decodeIfPresent(Double.self, forKey: .partial_rotary_factor)
            isEmpty = try [String: JSONText.Anything](from: decoder).isEmpty
        }
    }
}
