import Foundation
import Phi
import PhiCheckpoint
import PhiFormat
import PhiTestSupport
import Testing

@Suite struct CheckpointModelTests {
    /// `value` of Tools/golden/checkpoints.py.
    static func value(_ n: Int) -> Float { (Float(UInt32(truncatingIfNeeded: n &* 2_654_435_761) >> 24) - 128) / 64 }

    static let fixtures: [(folder: String, naming: NamingScheme, files: Int)] = [
        ("current-safetensors-f32", .current, 3),
        ("grouped-safetensors-bf16", .current, 3),
        ("first-port-safetensors-split-bf16", .firstPort, 9),
        ("transformer-bin-f16", .transformer, 6),
        ("mixformer-bin-split-f32", .mixformer, 5),
    ]

    @Test(arguments: fixtures) func readsEveryNaming(_ folder: String, _ naming: NamingScheme, _ files: Int) throws {
        let model = try CheckpointModel(path: fixture(folder))
        let isGrouped = folder.hasPrefix("grouped")
        #expect(model.naming == naming)
        #expect(model.files.count == files && model.files[0].path.hasSuffix("/config.json"))
        #expect(
            try model.config
                == ModelConfig(
                    hiddenSize: 16, intermediateSize: 24, layers: 2, heads: 2, kvHeads: isGrouped ? 1 : 2, headSize: 8,
                    rotaryDimensions: 4, context: 64, vocabulary: 286, endOfText: model.config.endOfText,
                    rotaryBase: 10_000, layerNormEpsilon: 1e-5))
        #expect(model.vocabulary.bytes(of: model.endsOfText.bounds.start).elementsEqual("<|endoftext|>".utf8))
        var n = 0
        for parameter in Parameter.all(layers: 2) {
            let (rows, columns) = model.config.shape(of: parameter)
            let expected = (n..<n + rows * columns).map(Self.value)
            n += rows * columns
            #expect(try read(model, parameter, 0..<rows) == expected, "\(parameter)")
            // Pieces that begin and end inside a head, and none.
            for piece in [3..<rows - 2, rows - 1..<rows, 7..<min(9, rows), 5..<5] {
                let values = try read(model, parameter, piece)
                let range = piece.lowerBound * columns..<piece.upperBound * columns
                #expect(values == Array(expected[range]), "\(parameter)")
            }
        }
        #expect(n == (isGrouped ? 12_782 : 13_326))
    }

    private func read(_ model: CheckpointModel, _ parameter: Parameter, _ rows: Range<Int>) throws -> [Float] {
        var floats = [Float](repeating: .nan, count: rows.count * model.config.shape(of: parameter).columns)
        try floats.withUnsafeMutableBufferPointer { try model.readRows(parameter, rows, into: $0) }
        return floats
    }

    static let query = "model.layers.0.self_attn.q_proj.weight"

    /// Each named and counted, in the order of the forward pass, before any weight is read.
    @Test func refusesOtherTensors() throws {
        typealias Change = (inout [String: TestTensor]) -> Void
        let cases: [(change: Change, fault: String)] = [
            ({ $0[Self.query] = nil }, "has no tensor '\(Self.query)'"),
            ({ $0["lm_head.bias"] = nil }, "has no tensor 'lm_head.bias'"),
            (
                {
                    $0["lm_head.bias"] = nil
                    $0[Self.query] = nil
                    $0["model.extra.weight"] = TestTensor(shape: [1])
                }, "has no tensor '\(Self.query)' (and 1 more such faults)"
            ),
            (
                {
                    $0["model.layers.0.self_attn.q_proj.base_layer.weight"] = $0[Self.query]
                    $0[Self.query] = nil
                },
                "holds an adapter that is not merged, such as 'model.layers.0.self_attn.q_proj.base_layer.weight'; save"
            ),
            (
                // As peft before 0.6 saved a model: with the base's names, beside the adapter's.
                { $0["model.layers.0.self_attn.q_proj.lora_A.default.weight"] = TestTensor(shape: [4, 16]) },
                "holds an adapter that is not merged, such as 'model.layers.0.self_attn.q_proj.lora_A.default.weight'; save"
            ),
            ({ $0["model.layers.0.self_attn.rotary_emb.inv_freq"] = TestTensor(shape: [2]) }, ""),
            ({ $0[Self.query]?.shape = [8, 32] }, "tensor '\(Self.query)' has shape [8, 32], not [16, 16]"),
            ({ $0[Self.query]?.shape = [256] }, "tensor '\(Self.query)' has shape [256], not [16, 16]"),
            ({ $0["model.layers.1.mlp.fc2.bias"]?.shape = [16, 1] }, "has shape [16, 1], not [16]"),
            ({ $0["model.embed_tokens.weight"] = TestTensor(shape: [286, 16]) }, "has shape [286, 16], not [296, 16]"),
            ({ $0["lm_head.weight"] = TestTensor(shape: [300, 16]) }, "has shape [300, 16], not [296, 16]"),
            (
                { $0[Self.query] = TestTensor(shape: [16, 16], type: "I32") },
                "tensor '\(Self.query)' has elements of type 'I32', not F64, F32, F16 or BF16"
            ),
            (
                { $0 = ["gpt2.wte": TestTensor(shape: [1])] },
                "unrecognised tensor naming, such as 'gpt2.wte'; known schemes: model.layers.0.self_attn.q_proj.weight, "
            ),
            ({ $0 = [:] }, "holds no tensors"),
        ]
        for (change, expected) in cases {
            let copy = try CheckpointCopy()
            try copy.rewrite(change)
            let text = fault { _ = try CheckpointModel(path: copy.path) }
            #expect(expected.isEmpty ? text.isEmpty : text.contains(expected), "'\(text)', not '\(expected)'")
        }
    }

    /// Each would be compared with a model of 1024 blocks.
    @Test func refusesManyModels() throws {
        let copy = try CheckpointCopy()
        try copy.replace(#""num_hidden_layers": 2"#, #""num_hidden_layers": 1024"#, in: "config.json")
        try copy.rewrite { tensors in
            for number in 0..<100 { tensors["\(number).layers.0.input_layernorm.weight"] = TestTensor(shape: [16]) }
        }
        let start = ContinuousClock.now
        let text = fault { _ = try CheckpointModel(path: copy.path) }
        #expect(text == "holds tensors of more than 16 models")
        #expect(start.duration(to: .now) < .seconds(5))
    }

    @Test func refusesGroupedQueriesInFusedNames() throws {
        let copy = try CheckpointCopy(of: "transformer-bin-f16")
        try copy.replace(#""n_head_kv": null"#, #""n_head_kv": 1"#, in: "config.json")
        let text = fault { _ = try CheckpointModel(path: copy.path) }
        #expect(text == "grouped-query attention is not known with transformer names")
    }

    @Test func refusesPaddingBelowTheVocabulary() throws {
        let copy = try CheckpointCopy()
        try copy.replace(#""vocab_size": 296"#, #""vocab_size": 284"#, in: "config.json")
        let text = fault { _ = try CheckpointModel(path: copy.path) }
        #expect(text.hasPrefix("vocab_size is 284, but the tokenizer has 286 tokens; resize the model's embeddings"))
    }

    /// Either of the two tensors may be the one that is kept.
    @Test(arguments: ["model.embed_tokens.weight", "lm_head.weight"]) func readsTiedWeights(_ left: String) throws {
        let copy = try CheckpointCopy()
        try copy.rewrite { $0[left] = nil }
        #expect(fault { _ = try CheckpointModel(path: copy.path) } == "has no tensor '\(left)'")
        try copy.replace(#""tie_word_embeddings": false"#, #""tie_word_embeddings": true"#, in: "config.json")
        let model = try CheckpointModel(path: copy.path)
        #expect(try read(model, .weight(.embedding), 3..<9) == read(model, .weight(.head), 3..<9))
    }

    @Test(arguments: [(#"{"quant_method": "gptq"}"#, "'gptq'"), ("{}", "'an unknown method'")])
    func refusesQuantisedWeights(_ settings: String, _ name: String) throws {
        let copy = try CheckpointCopy()
        try copy.replace(
            #""vocab_size": 296"#, #""vocab_size": 296, "quantization_config": \#(settings)"#, in: "config.json")
        let warnings = try CheckpointModel(path: copy.path).warnings
        #expect(
            warnings.count == 1 && warnings[0].hasSuffix("it says that they are quantised by \(name)"), "\(warnings)")
        try copy.rewrite { $0[Self.query] = TestTensor(shape: [128, 1]) }
        let text = fault { _ = try CheckpointModel(path: copy.path) }
        #expect(text.hasPrefix("the weights are quantised by \(name); convert the original model"), "\(text)")
    }

    @Test func refusesADirectoryWithoutConfig() throws {
        let copy = try CheckpointCopy()
        try copy.remove("config.json")
        do {
            _ = try CheckpointModel(path: copy.path + "/")
            Issue.record("opened")
        } catch {
            #expect(error.description == copy.path + "/config.json: no such file")
        }
    }

    @Test(arguments: [
        ("current-safetensors-f32", "config.json"), ("current-safetensors-f32", "tokenizer.json"),
        ("transformer-bin-f16", "merges.txt"), ("transformer-bin-f16", "vocab.json"),
        ("mixformer-bin-split-f32", "pytorch_model.bin.index.json"),
    ])
    func aThousandDamagedFiles(_ folder: String, _ name: String) throws {
        let accepted = try CheckpointCopy(of: folder).fuzz(name, rounds: 1000, seed: 3) { path in
            _ = try CheckpointModel(path: path)
        }
        #expect(accepted < 900, "\(accepted)")
    }
}
