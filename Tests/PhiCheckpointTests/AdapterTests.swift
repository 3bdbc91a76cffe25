import Foundation
import Phi
import PhiCheckpoint
import PhiFormat
import PhiTestSupport
import Testing

/// Merged adapters against peft's `merge_and_unload`; Tools/golden/adapters.py wrote the files.
struct AdapterTests {
    private static func folder(_ name: String) -> String { fixture("adapters/" + name) }

    static let names = [
        "attention", "rank-stabilised", "patterns", "embedding-and-head", "saved-modules", "all-biases", "own-biases",
        "bfloat16-archive", "old-names", "lora-bias",
    ]
    /// All have the same values, in F32, BF16 and F16.
    static let bases = [
        "current-safetensors-f32", "first-port-safetensors-split-bf16", "transformer-bin-f16",
        "mixformer-bin-split-f32",
    ]

    private func values(_ model: CheckpointModel, _ parameter: Parameter, _ rows: Range<Int>? = nil) throws -> [Float] {
        let shape = model.config.shape(of: parameter)
        let rows = rows ?? 0..<shape.rows
        var floats = [Float](repeating: .nan, count: rows.count * shape.columns)
        try floats.withUnsafeMutableBufferPointer { try model.readRows(parameter, rows, into: $0) }
        return floats
    }

    /// Compares a merged model with its base, and where `merged`, in transformers' names, has a parameter, with that.
    private func compare(_ model: CheckpointModel, _ base: CheckpointModel, merged: String) throws {
        let file = try ReadableFile(path: merged)
        var expected: [String: [Float]] = [:]
        for tensor in try Safetensors.tensors(of: file) {
            var floats = [Float](repeating: .nan, count: tensor.count)
            try floats.withUnsafeMutableBufferPointer { try tensor.readFloats(0..<tensor.count, into: $0) }
            expected[tensor.name] = floats
        }
        #expect(!expected.isEmpty)
        for parameter in Parameter.all(layers: model.config.layers) {
            let found = try values(model, parameter)
            let name = parameter.currentName(layers: model.config.layers)
            guard let wanted = expected.removeValue(forKey: name) else {
                #expect(try found == values(base, parameter), "\(parameter) must not change")
                continue
            }
            // Wanted values may have the rows that pad the vocabulary.
            let worst = zip(found, wanted).map { abs($0 - $1) / max(1, abs($1)) }.max() ?? .infinity
            #expect(found.count <= wanted.count && worst <= 1e-6, "\(parameter): \(worst)")
            // Pieces that begin and end anywhere are the same.
            let rows = model.config.shape(of: parameter).rows, columns = found.count / rows
            let piece = rows / 3..<rows - 1
            #expect(
                try values(model, parameter, piece)
                    == Array(found[piece.lowerBound * columns..<piece.upperBound * columns]))
        }
        #expect(expected.isEmpty, "\(expected.keys) are no parameters")
    }

    @Test(arguments: names, bases) func mergesAsPeftDoes(_ name: String, _ folder: String) throws {
        let base = try CheckpointModel(path: fixture(folder))
        let adapter = try Adapter(directory: Self.folder(name), of: base)
        let model = try base.merging([adapter])
        #expect(model.files.count == base.files.count + 2)
        try compare(model, base, merged: Self.folder(name) + "/merged.safetensors")
    }

    @Test func severalAdaptersHaveWeights() throws {
        let base = try CheckpointModel(path: fixture(Self.bases[0]))
        let adapters = [
            try Adapter(directory: Self.folder("attention"), of: base, weight: 0.5),
            try Adapter(directory: Self.folder("rank-stabilised"), of: base, weight: -2),
        ]
        try compare(base.merging(adapters), base, merged: Self.folder("weighted.safetensors"))
        let saved = try Adapter(directory: Self.folder("saved-modules"), of: base)
        #expect(fault { _ = try base.merging([saved, saved]) }.contains("as another adapter does"))
    }

    /// A base whose attention has no biases gets the adapter's.
    @Test func biasesAreAddedWhereTheBaseHasNone() throws {
        let folder = try TemporaryFolder()
        let base = try CheckpointModel(path: fixture("gptj"))
        let hidden = base.config.hiddenSize
        let module = "base_model.model.transformer.h.1.attn.v_proj."
        try folder.write(
            "adapter_model.safetensors",
            safetensors([
                module + "lora_A.weight": TestTensor(shape: [1, hidden]),
                module + "lora_B.weight": TestTensor(shape: [hidden, 1]),
                module + "lora_B.bias": TestTensor(shape: [hidden], floats: [Float](repeating: 1, count: hidden)),
            ]))
        try folder.write("adapter_config.json", #"{"peft_type": "LORA", "r": 1, "lora_alpha": 3, "lora_bias": true}"#)
        let model = try base.merging([Adapter(directory: folder.path, of: base)])
        #expect(try values(model, .bias(.value(1))) == [Float](repeating: 3, count: hidden))
        #expect(try values(model, .bias(.value(0))) == [Float](repeating: 0, count: hidden))
        #expect(try values(model, .bias(.query(1))) == [Float](repeating: 0, count: hidden))
    }

    /// What is not finite is the fault of the file that it is in.
    @Test func faultsOfUpdatesAreTheAdapters() throws {
        let base = try CheckpointModel(path: fixture(Self.bases[0]))
        let model = try base.merging([Adapter(directory: Self.folder("attention"), of: base, weight: 3e38)])
        let parameter = Parameter.weight(.query(0))
        #expect(try values(model, parameter).contains { !$0.isFinite })
        let own = "\(model.fault(of: parameter, 0..<4, "holds NaN"))"
        #expect(own.hasPrefix(Self.folder("attention") + ": its update of '") && own.hasSuffix("' holds NaN"), "\(own)")
        #expect("\(base.fault(of: parameter, 0..<4, "holds NaN"))".contains("model.safetensors: tensor '"))
    }

    @Test func faultsAreNamed() throws {
        let base = try CheckpointModel(path: fixture(Self.bases[0]))
        let attention = Self.folder("attention")
        func refusal(_ change: (TemporaryFolder) throws -> Void) throws -> String {
            let folder = try TemporaryFolder()
            for name in ["adapter_config.json", "adapter_model.safetensors"] {
                try folder.write(name, readFile(attention + "/" + name))
            }
            try change(folder)
            return fault { _ = try Adapter(directory: folder.path, of: base) }
        }
        #expect(try refusal { _ in } == "")
        for (old, new, text) in [
            (#""peft_type": "LORA""#, #""peft_type": "IA3""#, "peft_type 'IA3' is not supported, only LORA is"),
            (#""use_dora": false"#, #""use_dora": true"#, "use_dora is set; merge this adapter with peft's"),
            (#""use_qalora": false"#, #""use_qalora": true"#, "use_qalora is set"),
            (#""layer_replication": null"#, #""layer_replication": [[0, 1]]"#, "layer_replication is set"),
            (#""use_bdlora": null"#, #""use_bdlora": {"nblocks": 2}"#, "use_bdlora is set"),
            // Their base is another one: peft takes the first product from its weights. As is said of PiSSA, so of names to come.
            (
                #""init_lora_weights": true"#, #""init_lora_weights": "pissa_niter_4""#,
                "init_lora_weights is 'pissa_niter_4', which changes the base model's weights too; merge this adapter with"
            ),
            (#""init_lora_weights": true"#, #""init_lora_weights": "olora""#, "init_lora_weights is 'olora'"),
            (#""init_lora_weights": true"#, #""init_lora_weights": "new""#, "init_lora_weights is 'new'"),
            (#""lora_alpha": 8"#, #""lora_alpha": null"#, "has no finite lora_alpha"),
            (#""alpha_pattern": {}"#, #""alpha_pattern": {"(": 1}"#, "is no regular expression that is supported"),
            (
                #""alpha_pattern": {}"#,
                "\"alpha_pattern\": {\((0..<33).map { "\"\($0)a{1000}(b){1000}\": 1" }.joined(separator: ", "))}",
                "has an alpha_pattern of more expressions than any adapter's"
            ),
            (#""alpha_pattern": {}"#, #""alpha_pattern": {"q_proj": 1, ".*": 2}"#, "has several values for"),
        ] {
            let message = try refusal { folder in
                let text = try String(decoding: readFile(folder.at("adapter_config.json")), as: UTF8.self)
                try #require(text.contains(old))
                try folder.write("adapter_config.json", text.replacingOccurrences(of: old, with: new))
            }
            #expect(message.contains(text), "\(message)")
        }
        for start in ["false", #""gaussian""#, #""eva""#, "null"] {
            let message = try refusal { folder in
                let text = try String(decoding: readFile(folder.at("adapter_config.json")), as: UTF8.self)
                let changed = text.replacingOccurrences(
                    of: #""init_lora_weights": true"#, with: #""init_lora_weights": \#(start)"#)
                try folder.write("adapter_config.json", changed)
            }
            #expect(message == "", "\(start): \(message)")
        }
        #expect(fault { _ = try Adapter(directory: attention + "/none", of: base) } == "no such file or directory")
        let file = fault { _ = try Adapter(directory: attention + "/adapter_model.safetensors", of: base) }
        #expect(file == "is not a directory; give the one that holds the adapter's files")
        for (name, text) in [
            ("adapter_config.json", "holds no adapter: no adapter_config.json"),
            ("adapter_model.safetensors", "holds no adapter: no adapter_model.safetensors, no adapter_model.bin"),
        ] {
            #expect(try refusal { try FileManager.default.removeItem(atPath: $0.at(name)) } == text)
        }
        let good = try Safetensors.tensors(of: ReadableFile(path: attention + "/adapter_model.safetensors"))
        func withTensor(_ name: String, _ shape: [Int], without: String? = nil) throws -> String {
            try refusal { folder in
                var tensors = good.filter { $0.name != without }.map {
                    ($0.name, TestTensor(shape: $0.shape, floats: [Float](repeating: 1, count: $0.count)))
                }
                tensors.append(
                    (name, TestTensor(shape: shape, floats: [Float](repeating: 1, count: shape.reduce(1, *)))))
                try folder.write("adapter_model.safetensors", safetensors(tensors))
            }
        }
        let query = "base_model.model.model.layers.0.self_attn.q_proj."
        #expect(
            try withTensor("base_model.model.model.layers.7.mlp.fc1.bias", [24])
                .contains("cannot be merged (1 in all); merge this adapter with peft's")
        )
        #expect(try withTensor(query + "lora_magnitude_vector", [16]).contains("cannot be merged"))
        #expect(
            try withTensor(query + "lora_A.weight", [4, 15], without: query + "lora_A.weight").contains("not [4, 16]"))
        #expect(
            try withTensor(query + "lora_B.weight", [16, 3], without: query + "lora_B.weight").contains("not [16, 4]"))
        #expect(
            try withTensor(query + "lora_B.weight", [16], without: query + "lora_B.weight").contains("cannot be merged")
        )
        #expect(
            try withTensor(query + "lora_A.weight", [0, 16], without: query + "lora_A.weight").contains("is empty"))
        // Only the vocabulary's dimension may be padded.
        let head = "base_model.model.lm_head.weight"
        #expect(try withTensor(head, [400, 16]) == "")
        #expect(try withTensor(head, [400, 17]).contains("has shape [400, 17], not [286, 16]"))
        #expect(try withTensor(head, [286, 17]).contains("has shape [286, 17], not [286, 16]"))
        #expect(try withTensor(query + "lora_A.default.weight", [4, 16]).contains("for one parameter"))
    }
}

extension Parameter {
    /// The name in transformers' state dict.
    fileprivate func currentName(layers: Int) -> String {
        let (module, suffix) =
            switch self {
            case .weight(let module): (module, ".weight")
            case .bias(let module): (module, ".bias")
            }
        let name =
            switch module {
            case .embedding: "model.embed_tokens"
            case .norm(let n): "model.layers.\(n).input_layernorm"
            case .query(let n): "model.layers.\(n).self_attn.q_proj"
            case .key(let n): "model.layers.\(n).self_attn.k_proj"
            case .value(let n): "model.layers.\(n).self_attn.v_proj"
            case .dense(let n): "model.layers.\(n).self_attn.dense"
            case .fc1(let n): "model.layers.\(n).mlp.fc1"
            case .fc2(let n): "model.layers.\(n).mlp.fc2"
            case .finalNorm: "model.final_layernorm"
            case .head: "lm_head"
            }
        return name + suffix
    }
}
