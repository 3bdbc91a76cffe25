import Foundation

/// A phi checkpoint of random numbers by the rule of Tools/phitools/seeded.py: small enough to make, spoil and convert
/// in a moment, and the same in every run.
struct TinyCheckpoint {
    struct Tensor {
        var name: String
        var shape: [Int]
        var floats: [Float]
    }

    /// `config.json`, values as JSON text.
    var config: [String: String]
    var tensors: [Tensor]
    /// What becomes of `tokenizer.json`.
    var tokenizer: String

    static let endOfText = 256

    /// The embedding and the head have more rows than there are tokens, as phi-1's have.
    init(
        hidden: Int = 64, intermediate: Int = 128, layers: Int = 2, heads: Int = 4, rows: Int = 320, tokens: Int = 300,
        context: Int = 256, seed: UInt64 = 1
    ) {
        config = [
            "model_type": #""phi""#, "hidden_size": "\(hidden)", "intermediate_size": "\(intermediate)",
            "num_hidden_layers": "\(layers)", "num_attention_heads": "\(heads)", "vocab_size": "\(rows)",
            "max_position_embeddings": "\(context)", "hidden_act": #""gelu_new""#, "partial_rotary_factor": "0.5",
            "layer_norm_eps": "1e-05", "eos_token_id": "\(Self.endOfText)", "rope_theta": "10000.0",
            "qk_layernorm": "false", "tie_word_embeddings": "false", "num_key_value_heads": "null",
            "rope_scaling": "null",
        ]
        tokenizer = TinyTokenizer.json(tokens: tokens)
        var tensors: [Tensor] = []
        func add(_ name: String, _ shape: Int..., exponent: Int, offset: Float = 0) {
            var random = SeededRandom(name: name, seed: seed)
            let scale = Float(sign: .plus, exponent: exponent - 23, significand: 1)
            let floats = (0..<shape.reduce(1, *)).map { _ in offset + Float(Int(random.next() >> 40) - 1 << 23) * scale
            }
            tensors.append(Tensor(name: name, shape: shape, floats: floats))
        }
        add("model.embed_tokens.weight", rows, hidden, exponent: -4)
        for layer in 0..<layers {
            let block = "model.layers.\(layer)."
            for (name, rows, columns) in [
                ("self_attn.q_proj", hidden, hidden), ("self_attn.k_proj", hidden, hidden),
                ("self_attn.v_proj", hidden, hidden), ("self_attn.dense", hidden, hidden),
                ("mlp.fc1", intermediate, hidden), ("mlp.fc2", hidden, intermediate),
            ] {
                add(block + name + ".weight", rows, columns, exponent: -2)
                add(block + name + ".bias", rows, exponent: -6)
            }
            add(block + "input_layernorm.weight", hidden, exponent: -3, offset: 1)
            add(block + "input_layernorm.bias", hidden, exponent: -6)
        }
        add("model.final_layernorm.weight", hidden, exponent: -3, offset: 1)
        add("model.final_layernorm.bias", hidden, exponent: -6)
        add("lm_head.weight", rows, hidden, exponent: -1)
        add("lm_head.bias", rows, exponent: -6)
        self.tensors = tensors
    }

    /// Keeps the model to tokens of letters, digits and punctuation, so that its text is text.
    func speakingASCII() -> TinyCheckpoint {
        var copy = self
        // Ids below 94 are the printable bytes, those from 257 on merges of frequent ones.
        copy.edit("lm_head.bias") { floats in
            for id in floats.indices where (94...Self.endOfText).contains(id) { floats[id] = -1000 }
        }
        return copy
    }

    mutating func edit(_ name: String, _ change: (inout [Float]) -> Void) {
        for index in tensors.indices where tensors[index].name == name { change(&tensors[index].floats) }
    }

    /// Writes the directory's three files.
    func write(to folder: Scratch, _ name: String = "checkpoint") throws -> String {
        let path = try folder.makeFolder(name)
        try folder.write(name + "/config.json", configText)
        try folder.write(name + "/tokenizer.json", tokenizer)
        try folder.write(name + "/model.safetensors", safetensors())
        return path
    }

    var configText: String {
        "{" + config.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ",\n") + "}\n"
    }

    /// The weights' file; `edit` may spoil its header.
    func safetensors(_ edit: (String) -> String = { $0 }) -> [UInt8] {
        var entries: [String] = []
        var data: [UInt8] = []
        for tensor in tensors {
            let begin = data.count
            tensor.floats.withUnsafeBytes { data += $0 }
            let place = "\"data_offsets\":[\(begin),\(data.count)]"
            entries.append("\"\(tensor.name)\":{\"dtype\":\"F32\",\"shape\":\(tensor.shape),\(place)}")
        }
        return Self.safetensors(header: edit("{" + entries.joined(separator: ",") + "}"), data: data)
    }

    static func safetensors(header: String, data: [UInt8], length: UInt64? = nil) -> [UInt8] {
        let length = length ?? UInt64(header.utf8.count)
        return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) } + Array(header.utf8) + data
    }
}

/// splitmix64, begun at the FNV-1a hash of a tensor's name.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(name: String, seed: UInt64) {
        state = name.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 } ^ seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
