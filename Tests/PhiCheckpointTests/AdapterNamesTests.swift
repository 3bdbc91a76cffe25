import PhiCheckpoint
import PhiFormat
import PhiTestSupport
import Testing

/// Adapters whose modules have names of other models than the base is, or of several.
struct AdapterNamesTests {
    /// An adapter of rank 1 that adds `factor` to each weight of some modules, named without `base_model.model.`.
    private func adapter(
        _ modules: [(name: String, rows: Int, columns: Int)], factor: Float = 1, more: [(String, TestTensor)] = [],
        config: String = ""
    ) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        let tensors = modules.flatMap { module in
            [
                (
                    module.name + ".lora_A.weight",
                    TestTensor(shape: [1, module.columns], floats: Self.ones(module.columns))
                ),
                (module.name + ".lora_B.weight", TestTensor(shape: [module.rows, 1], floats: Self.ones(module.rows))),
            ]
        }
        try folder.write(
            "adapter_model.safetensors", safetensors((tensors + more).map { ("base_model.model." + $0, $1) }))
        try folder.write("adapter_config.json", #"{"peft_type": "LORA", "r": 1, "lora_alpha": \#(factor)\#(config)}"#)
        return folder
    }

    private static func ones(_ count: Int) -> [Float] { [Float](repeating: 1, count: count) }

    private func base(heads: Int = 4, _ edit: (inout TinyCheckpoint) -> Void = { _ in }) throws -> CheckpointModel {
        var checkpoint = TinyCheckpoint(hidden: 16 * heads, heads: heads)
        edit(&checkpoint)
        let folder = try TemporaryFolder()
        return try CheckpointModel(path: checkpoint.write(to: folder))
    }

    /// The blocks whose first MLP matrix an adapter changes.
    private func changedBlocks(_ folder: TemporaryFolder, _ base: CheckpointModel) throws -> [Int] {
        let model = try base.merging([Adapter(directory: folder.path, of: base)])
        return try (0..<base.config.layers).filter { block in
            func row(_ model: CheckpointModel) throws -> [Float] {
                var floats = Self.ones(model.config.hiddenSize)
                try floats.withUnsafeMutableBufferPointer { try model.readRows(.weight(.fc1(block)), 3..<4, into: $0) }
                return floats
            }
            return try row(model) != row(base)
        }
    }

    @Test(arguments: [2, 6, 9]) func refusesCodeGensAttentionWhereItCannotBe(_ heads: Int) throws {
        let base = try base(heads: heads)
        let hidden = base.config.hiddenSize
        let folder = try adapter([("transformer.h.0.attn.qkv_proj", 3 * hidden, hidden)])
        let text = fault { _ = try Adapter(directory: folder.path, of: base) }
        #expect(text == "is of another model: \(heads) heads are not a multiple of 4, as CodeGen's are")
        // GPT-J's MLP has the same names.
        let mlp = try adapter([("transformer.h.1.mlp.fc_in", base.config.intermediateSize, hidden)])
        #expect(try changedBlocks(mlp, base) == [1])
    }

    @Test func refusesFusedAttentionOfGroupedQueries() throws {
        let base = try base {
            $0.config["num_key_value_heads"] = "2"
            $0.tensors = TinyPhi(hidden: 64, intermediate: 128, heads: 4, kvHeads: 2, rows: 320).tensors
        }
        let folder = try adapter([("transformer.h.0.mixer.Wqkv", 192, 64)])
        let text = fault { _ = try Adapter(directory: folder.path, of: base) }
        #expect(text == "is of another model: grouped-query attention is not known with transformer names")
    }

    /// `layers.1` is the second block by transformers' names without the body's prefix, and the first one by those of phi-1's
    /// first publication.
    @Test func namesThatFitTwoSchemesAreTheBaseModels() throws {
        let current = try CheckpointModel(path: fixture("current-safetensors-f32"))
        let config = current.config
        let folder = try adapter([("layers.1.mlp.fc1", config.intermediateSize, config.hiddenSize)])
        #expect(try changedBlocks(folder, current) == [1])
        #expect(try changedBlocks(folder, CheckpointModel(path: fixture("mixformer-bin-split-f32"))) == [0])
        let other = try CheckpointModel(path: fixture("transformer-bin-f16"))
        #expect(
            fault { _ = try Adapter(directory: folder.path, of: other) }
                == "has tensors that are of different blocks by current and mixformer-sequential names; give the base model that it is of"
        )
        // All blocks fit one scheme better.
        let modules = (1...config.layers).map { ("layers.\($0).mlp.fc1", config.intermediateSize, config.hiddenSize) }
        #expect(try changedBlocks(adapter(modules), other) == Array(0..<config.layers))
    }

    /// An adapter's bias of the head has the rows that pad the vocabulary, as its weight has.
    @Test func addsAPaddedBiasToTheHead() throws {
        let base = try base()
        let folder = try adapter(
            [("lm_head", 320, 64)], more: [("lm_head.lora_B.bias", TestTensor(shape: [320], floats: Self.ones(320)))],
            config: #", "lora_bias": true"#)
        let model = try base.merging([Adapter(directory: folder.path, of: base)])
        func bias(_ model: CheckpointModel) throws -> [Float] {
            var floats = Self.ones(300)
            try floats.withUnsafeMutableBufferPointer { try model.readRows(.bias(.head), 0..<300, into: $0) }
            return floats
        }
        #expect(try bias(model) == bias(base).map { $0 + 1 })
    }

    /// peft then makes a new head without a bias.
    @Test func refusesATiedHeadThatLosesItsBias() throws {
        let head = [("lm_head.weight", TestTensor(shape: [320, 64], floats: Self.ones(320 * 64)))]
        let folder = try adapter([], more: head, config: #", "ensure_weight_tying": true"#)
        let tied = try base { $0.config["tie_word_embeddings"] = "true" }
        let text = fault { _ = try Adapter(directory: folder.path, of: tied) }
        #expect(
            text
                == "ensure_weight_tying is set, which takes the head's bias away; merge this adapter with peft's merge_and_unload first"
        )
        let untied = try base()
        #expect(fault { _ = try Adapter(directory: folder.path, of: untied) } == "")
        let bias = ("lm_head.bias", TestTensor(shape: [320], floats: Self.ones(320)))
        let whole = try adapter([], more: head + [bias], config: #", "ensure_weight_tying": true"#)
        #expect(fault { _ = try Adapter(directory: whole.path, of: tied) } == "")
    }
}
