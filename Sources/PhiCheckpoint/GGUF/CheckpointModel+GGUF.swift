import Phi
import PhiFormat

extension CheckpointModel {
    /// Opens a GGUF file of llama.cpp's architecture `phi2`; no weight is read. `endsOfText` as in
    /// ``init(path:endsOfText:)``. Throws ``FormatError`` with the first fault found.
    package init(gguf file: ReadableFile, endsOfText: [String] = []) throws(FormatError) {
        let gguf = try GGUFFile(file)
        let architecture = try gguf.string("general.architecture") ?? ""
        guard architecture == "phi2" else {
            throw FormatError(
                file.path, "architecture \(architecture.shown) is not 'phi2', llama.cpp's name for phi-1, 1.5 and 2")
        }
        let tokenizer = try GGUFTokenizer(gguf)
        vocabulary = tokenizer.vocabulary
        self.endsOfText = try EndsOfText(gguf, vocabulary, named: endsOfText)
        config = try gguf.config(vocabulary: vocabulary.count, endOfText: Int(self.endsOfText.bounds.ends[0]))
        tensors = try GGUFNames.tensors(of: gguf, config, rows: tokenizer.rows)
        naming = .gguf
        table = NameTable.all[0]  // fused tensors are in `tensors` part by part, rows in their order
        ownFiles = [file]
        warnings = []
        hasTiedHead = false  // its head is a tensor of its own
    }
}

extension GGUFFile {
    /// The shape, from the keys `phi2.`: https://github.com/ggml-org/llama.cpp/blob/master/src/models/phi2.cpp.
    fileprivate func config(vocabulary: Int, endOfText: Int) throws(FormatError) -> ModelConfig {
        func refused(_ fault: String) -> FormatError { FormatError(file.path, fault) }
        let hidden = try need("phi2.embedding_length")
        let heads = try need("phi2.attention.head_count")
        // ModelConfig checks all bounds; these are the ones that the arithmetic here relies on.
        guard (1...1024).contains(heads), (1...65_536).contains(hidden) else {
            throw refused("hidden size \(hidden) or \(heads) heads cannot be true")
        }
        let ownSize = try integer("phi2.attention.key_length")
        guard ownSize != nil || hidden % heads == 0 else {
            throw refused("hidden size \(hidden) is not a multiple of its \(heads) heads")
        }
        let headSize = ownSize ?? hidden / heads
        let valueSize = try integer("phi2.attention.value_length") ?? headSize
        guard valueSize == headSize else { throw refused("values of \(valueSize) dimensions are not supported") }
        let scaling = try string("phi2.rope.scaling.type") ?? "none"
        for key in ["phi2.rope.scaling.factor", "phi2.rope.scale_linear"] {
            // llama.cpp takes 0 for none.
            let factor = try number(key) ?? 1
            guard factor == 0 || factor == 1, scaling == "none" || scaling == "linear" else {
                throw refused("rope scaling \(scaling.shown) by \(factor) is not supported")
            }
        }
        guard let epsilon = try number("phi2.attention.layer_norm_epsilon") else {
            throw refused("has no key 'phi2.attention.layer_norm_epsilon'")
        }
        do {
            return try ModelConfig(
                hiddenSize: hidden, intermediateSize: need("phi2.feed_forward_length"),
                layers: need("phi2.block_count"), heads: heads,
                kvHeads: integer("phi2.attention.head_count_kv") ?? heads, headSize: headSize,
                rotaryDimensions: integer("phi2.rope.dimension_count") ?? headSize,
                context: need("phi2.context_length"), vocabulary: vocabulary, endOfText: endOfText,
                rotaryBase: Float(number("phi2.rope.freq_base") ?? 10_000), layerNormEpsilon: Float(epsilon))
        } catch let error as FormatError {
            throw error
        } catch let error as ModelConfigError {
            throw refused(error.fault)
        } catch {
            throw refused("\(error)")
        }
    }
}
