/// A checkpoint directory of a ``TinyPhi``, which can be changed before it is written.
package struct TinyCheckpoint {
    /// `config.json`, values as JSON text.
    package var config: [String: String]
    package var tensors: [(name: String, tensor: TestTensor)]
    /// `tokenizer.json`.
    package var tokenizer: String

    /// The embedding and the head have more rows than there are tokens, as phi-1's have.
    package init(
        hidden: Int = 64, intermediate: Int = 128, layers: Int = 2, heads: Int = 4, rows: Int = 320, tokens: Int = 300,
        context: Int = 256, seed: UInt64 = 1
    ) {
        config = [
            "model_type": #""phi""#, "hidden_size": "\(hidden)", "intermediate_size": "\(intermediate)",
            "num_hidden_layers": "\(layers)", "num_attention_heads": "\(heads)", "vocab_size": "\(rows)",
            "max_position_embeddings": "\(context)", "hidden_act": #""gelu_new""#, "partial_rotary_factor": "0.5",
            "layer_norm_eps": "1e-05", "eos_token_id": "\(TinyTokenizer.endOfText)", "rope_theta": "10000.0",
            "qk_layernorm": "false", "tie_word_embeddings": "false", "num_key_value_heads": "null",
            "rope_scaling": "null",
        ]
        tokenizer = TinyTokenizer.json(tokens: tokens)
        tensors =
            TinyPhi(
                hidden: hidden, intermediate: intermediate, layers: layers, heads: heads, rows: rows,
                exponents: .init(linear: -2, head: -1, embedding: -4, bias: -6, norm: -3), seed: seed
            ).tensors
    }

    /// Keeps the model to tokens of letters, digits and punctuation, so that its text is text.
    package func speakingASCII() -> TinyCheckpoint {
        var copy = self
        // Ids below 94 are the printable bytes, those from 257 on merges of frequent ones.
        copy.edit("lm_head.bias") { floats in
            for id in floats.indices where (94...TinyTokenizer.endOfText).contains(id) { floats[id] = -1000 }
        }
        return copy
    }

    package mutating func edit(_ name: String, _ change: (inout [Float]) -> Void) {
        for index in tensors.indices where tensors[index].name == name { change(&tensors[index].tensor.floats) }
    }

    /// Writes the directory's three files.
    package func write(to folder: TemporaryFolder, _ name: String = "checkpoint") throws -> String {
        let path = try folder.makeFolder(name)
        try folder.write(name + "/config.json", configText)
        try folder.write(name + "/tokenizer.json", tokenizer)
        try folder.write(name + "/model.safetensors", safetensors())
        return path
    }

    package var configText: String {
        "{" + config.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ",\n") + "}\n"
    }

    /// The file of weights; `edit` may damage its header.
    package func safetensors(_ edit: (String) -> String = { $0 }) -> [UInt8] {
        PhiTestSupport.safetensors(tensors, edit)
    }
}
