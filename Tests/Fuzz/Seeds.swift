import Foundation
import PhiCheckpoint
import PhiTestSupport

/// Small good inputs, made in code: a phi of one block and twelve tokens.
enum Seeds {
    static let tensors = TinyPhi(hidden: 8, intermediate: 8, layers: 1, heads: 2, rows: 16, tokens: 12).tensors
    static let tokens = ["a", "b", "c", "d", "e", "f", "g", "h", "<|endoftext|>", "ab", "cd", "abcd"]
    static let merges = ["a b", "c d", "ab cd"]

    static let config = Array(
        """
        {"model_type": "phi", "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 2, "head_dim": 4, "vocab_size": 16, "max_position_embeddings": 64, "hidden_act": "gelu_new",
        "layer_norm_eps": 1e-05, "rope_theta": 10000.0, "partial_rotary_factor": 0.5, "qk_layernorm": false,
        "tie_word_embeddings": false, "rope_scaling": null, "eos_token_id": [8, 3],
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}
        """.utf8)

    static let tokenizer: [UInt8] = {
        let vocab = tokens.enumerated().map { "\"\($1)\": \($0)" }.joined(separator: ", ")
        let pairs = merges.map { "\"\($0)\"" }.joined(separator: ", ")
        let byteLevel = #"{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}"#
        return Array(
            """
            {"version": "1.0", "added_tokens": [{"id": 8, "content": "<|endoftext|>", "special": true}], "normalizer": null,
            "pre_tokenizer": \(byteLevel), "post_processor": {"type": "ByteLevel"}, "decoder": \(byteLevel),
            "model": {"type": "BPE", "unk_token": null, "vocab": {\(vocab)}, "merges": [\(pairs)]}}
            """.utf8)
    }()

    static let checkpoint = [
        "config.json": config, "tokenizer.json": tokenizer, "model.safetensors": PhiTestSupport.safetensors(tensors),
    ]

    static let configs: [[String: [UInt8]]] = {
        let first = """
            {"model_type": "mixformer-sequential", "n_embd": 8, "n_inner": 8, "n_layer": 1, "n_head": 2, "n_head_kv": null,
            "n_positions": 64, "rotary_dim": 2, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "vocab_size": 16}
            """
        let index = tensors.map { "\"\($0.name)\": \"model.safetensors\"" }.joined(separator: ", ")
        let rope = #"{"rope_scaling": {"type": "linear", "factor": 2.0}, "tokenizer_class": "GPT2TokenizerFast"}"#
        return [
            ["config.json": config], ["config.json": Array(first.utf8)], ["config.json": Array(rope.utf8)],
            ["config.json": config, "generation_config.json": Array(#"{"eos_token_id": 8}"#.utf8)],
            ["model.safetensors.index.json": Array("{\"metadata\": {}, \"weight_map\": {\(index)}}".utf8)],
            [
                "tokenizer_config.json": Array(
                    #"{"tokenizer_class": "CodeGenTokenizer", "eos_token": "<|endoftext|>"}"#.utf8),
                "special_tokens_map.json": Array(#"{"pad_token": {"content": "<pad>", "lstrip": false}}"#.utf8),
            ],
        ]
    }()

    static let tokenizers: [[String: [UInt8]]] = {
        let vocab = tokens.enumerated().map { "\"\($1)\": \($0)" }.joined(separator: ", ")
        let settings = """
            {"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": false, "bos_token": "<|endoftext|>",
            "unk_token": {"content": "<unk>", "special": true, "normalized": false}, "extra_special_tokens": ["<x>"],
            "tool_token": "<tool>", "additional_special_tokens": ["<y>", {"content": "<z>", "rstrip": false}],
            "added_tokens_decoder": {"8": {"content": "<|endoftext|>", "special": true}, "12": {"content": "  ", "normalized": true}}}
            """
        let map = #"{"eos_token": "<|endoftext|>", "additional_special_tokens": ["<q>"], "x_token": "<r>"}"#
        let patterned = String(decoding: tokenizer, as: UTF8.self)
            .replacingOccurrences(of: "\"unk_token\": null", with: "\"unk_token\": \"a\", \"fuse_unk\": false")
        return [
            ["tokenizer.json": tokenizer],
            ["tokenizer.json": Array(patterned.utf8), "tokenizer_config.json": Array(settings.utf8)],
            [
                "vocab.json": Array("{\(vocab)}".utf8),
                "merges.txt": Array(("#version: 0.2\n" + merges.joined(separator: "\n") + "\n").utf8),
                "added_tokens.json": Array(#"{"<new>": 12, "  ": 13}"#.utf8),
                "special_tokens_map.json": Array(map.utf8),
            ],
            ["tokenizer.json": tokenizer, "special_tokens_map.json": Array(map.utf8), "config.json": config],
        ]
    }()

    static let safetensors: [[UInt8]] = {
        var wrapped = tensors.map { (name: "module._orig_mod." + $0.name, tensor: $0.tensor) }
        wrapped.append(("extra", TestTensor(shape: [1])))
        return [PhiTestSupport.safetensors(tensors), PhiTestSupport.safetensors(wrapped)]
    }()

    static let adapters: [[String: [UInt8]]] = {
        let config = """
            {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "use_rslora": false, "use_dora": false, "target_modules": ["q_proj"],
            "alpha_pattern": {"layers\\\\.0\\\\.self_attn\\\\.q_proj": 8, ".*fc[12]|dense": 2}, "bias": "none"}
            """
        let prefix = "base_model.model.model.layers.0."
        let pairs: [(name: String, tensor: TestTensor)] = [
            (prefix + "self_attn.q_proj.lora_A.weight", TestTensor(shape: [2, 8])),
            (prefix + "self_attn.q_proj.lora_B.weight", TestTensor(shape: [8, 2])),
            (prefix + "mlp.fc1.bias", TestTensor(shape: [8])),
            ("base_model.model.model.embed_tokens.lora_embedding_A", TestTensor(shape: [2, 16])),
            ("base_model.model.model.embed_tokens.lora_embedding_B", TestTensor(shape: [8, 2])),
        ]
        return [
            [
                "adapter_config.json": Array(config.utf8),
                "adapter_model.safetensors": PhiTestSupport.safetensors(pairs),
            ],
            ["adapter_config.json": Array(config.utf8), "adapter_model.bin": TorchSeed(pairs).archive],
        ]
    }()

    static let torch: [(seed: TorchSeed, bytes: [UInt8])] = {
        let (flat, nested, short) = (
            TorchSeed(tensors), TorchSeed(tensors, isNested: true), TorchSeed(Array(tensors.prefix(2)))
        )
        return [(flat, flat.archive), (nested, nested.archive), (flat, flat.legacy), (short, short.archive)]
    }()

    /// The checkpoint, opened.
    static let model: CheckpointModel = {
        _ = Scratch.write(checkpoint)
        do {
            return try CheckpointModel(path: Scratch.path)
        } catch {
            fatalError("the seed is refused: \(error)")
        }
    }()

    static let ggufs: [TestGGUF] = {
        func name(_ name: String) -> String {
            var name = name
            for (old, new) in [
                ("model.embed_tokens", "token_embd"), ("model.layers.", "blk."), ("self_attn.q_proj", "attn_q"),
                ("self_attn.k_proj", "attn_k"), ("self_attn.v_proj", "attn_v"), ("self_attn.dense", "attn_output"),
                ("mlp.fc1", "ffn_up"), ("mlp.fc2", "ffn_down"), ("input_layernorm", "attn_norm"),
                ("model.final_layernorm", "output_norm"), ("lm_head", "output"),
            ] { name = name.replacingOccurrences(of: old, with: new) }
            return name
        }
        func phi2(_ name: String) -> String { "phi2." + name }
        var gguf = TestGGUF()
        gguf.keys = [
            ("general.architecture", TestGGUF.text("phi2")), ("general.alignment", TestGGUF.integer(32)),
            (phi2("embedding_length"), TestGGUF.integer(8)), (phi2("attention.head_count"), TestGGUF.integer(2)),
            (phi2("attention.head_count_kv"), TestGGUF.integer(2)), (phi2("attention.key_length"), TestGGUF.integer(4)),
            (phi2("attention.layer_norm_epsilon"), TestGGUF.real(1e-5)),
            (phi2("feed_forward_length"), TestGGUF.integer(8)),
            (phi2("block_count"), TestGGUF.integer(1)), (phi2("context_length"), TestGGUF.integer(64)),
            (phi2("rope.dimension_count"), TestGGUF.integer(2)), (phi2("rope.freq_base"), TestGGUF.real(10_000)),
            ("tokenizer.ggml.model", TestGGUF.text("gpt2")), ("tokenizer.ggml.pre", TestGGUF.text("phi-2")),
            ("tokenizer.ggml.tokens", TestGGUF.texts(tokens + ["[PAD12]", "[PAD13]", "[PAD14]", "[PAD15]"])),
            (
                "tokenizer.ggml.token_type",
                TestGGUF.array(
                    of: 5, count: 16, (0..<16).flatMap { littleEndian(Int32($0 == 8 ? 3 : $0 > 11 ? 5 : 1)) })
            ),
            ("tokenizer.ggml.merges", TestGGUF.texts(merges)), ("tokenizer.ggml.eos_token_id", TestGGUF.integer(8)),
        ]
        gguf.tensors = tensors.map { entry in
            .init(
                name(entry.name), entry.tensor.shape.reversed().map(UInt64.init), type: 0,
                data: entry.tensor.floats.flatMap { littleEndian($0.bitPattern) })
        }
        var small = gguf
        small.tensors = tensors.map { entry in
            .init(
                name(entry.name), entry.tensor.shape.reversed().map(UInt64.init), type: 30,
                data: entry.tensor.floats.flatMap { littleEndian(UInt16($0.bitPattern >> 16)) })
        }
        return [gguf, small, quantised]
    }()

    /// Rows of 256 in all types of blocks, of zeros.
    private static let quantised: TestGGUF = {
        var gguf = TestGGUF()
        gguf.keys = [("general.architecture", TestGGUF.text("phi2"))]
        for (type, elements, bytes): (UInt32, UInt64, Int) in [
            (2, 32, 18), (8, 32, 34), (12, 256, 144), (23, 256, 136),
        ] {
            gguf.tensors.append(
                .init("blk.\(type)", [elements, 2], type: type, data: [UInt8](repeating: 0, count: 2 * bytes)))
        }
        return gguf
    }()
}

/// A state_dict as torch saves it.
struct TorchSeed {
    var pickle: [UInt8] = [0x80, 2]
    private var storages: [(key: String, bytes: [UInt8], count: Int)] = []

    init(_ tensors: [(name: String, tensor: TestTensor)], isNested: Bool = false) {
        func text(_ text: String) -> [UInt8] { [0x58] + littleEndian(UInt32(text.utf8.count)) + Array(text.utf8) }
        func int(_ number: Int) -> [UInt8] { [0x4A] + littleEndian(Int32(number)) }
        func tuple(_ numbers: [Int]) -> [UInt8] { [0x28] + numbers.flatMap(int) + [0x74] }
        if isNested { pickle += Array("}(".utf8) + text("step") + int(3) + text("model") }
        pickle += Array("ccollections\nOrderedDict\n)R(".utf8)
        for (number, entry) in tensors.enumerated() {
            let (shape, count) = (entry.tensor.shape, entry.tensor.floats.count)
            let strides = shape.indices.map { shape[($0 + 1)...].reduce(1, *) }
            pickle += text(entry.name) + Array("ctorch._utils\n_rebuild_tensor_v2\n((".utf8) + text("storage")
            pickle +=
                Array("ctorch\nFloatStorage\n".utf8) + text("\(number)") + text("cpu") + int(count) + Array("tQ".utf8)
            pickle += int(0) + tuple(shape) + tuple(strides) + [0x89] + Array("ccollections\nOrderedDict\n)RtR".utf8)
            storages.append(("\(number)", entry.tensor.floats.flatMap { littleEndian($0.bitPattern) }, count))
        }
        pickle += Array((isNested ? "uu." : "u.").utf8)
    }

    var archive: [UInt8] { archive { _ in } }

    func archive(_ change: (inout ZipWriter) -> Void) -> [UInt8] {
        var zip = ZipWriter()
        change(&zip)
        zip.add("m/data.pkl", pickle)
        zip.add("m/byteorder", Array("little".utf8))
        for storage in storages { zip.add("m/data/" + storage.key, storage.bytes) }
        return zip.finished()
    }

    /// The file of torch before 1.6.
    var legacy: [UInt8] {
        let magic: [UInt8] = [
            0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E, 0x80, 2, 0x4D, 0xE9, 3,
            0x2E,
        ]
        let system: [UInt8] = [0x80, 2, 0x7D, 0x2E]
        var bytes = magic + system + pickle
        bytes += [0x80, 2, 0x5D, 0x28]
        for storage in storages {
            bytes += [0x58] + littleEndian(UInt32(storage.key.utf8.count)) + Array(storage.key.utf8)
        }
        bytes += [0x65, 0x2E]
        for storage in storages { bytes += littleEndian(UInt64(storage.count)) + storage.bytes }
        return bytes
    }
}
