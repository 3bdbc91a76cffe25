import PhiCheckpoint
import PhiConvert
import PhiFormat
import PhiTestSupport
import Testing

/// A weight that an encoding cannot hold is the fault of the tensor, or the adapter, that has it.
struct LargeWeightTests {
    private let hidden = 64

    private func fault(_ name: String, _ value: Float, _ type: WeightType, adapter: Bool = false) throws -> String {
        let folder = try TemporaryFolder()
        var checkpoint = TinyCheckpoint(hidden: hidden)
        if !adapter { checkpoint.edit(name + ".weight") { $0[7 * hidden + 5] = value } }
        var model = try CheckpointModel(path: checkpoint.write(to: folder))
        if adapter {
            let path = try folder.makeFolder("adapter")
            func one(_ shape: [Int], _ value: Float) -> TestTensor {
                TestTensor(shape: shape, floats: [Float](repeating: value, count: shape.reduce(1, *)))
            }
            try folder.write(
                "adapter/adapter_model.safetensors",
                safetensors([
                    ("base_model.model." + name + ".lora_A.weight", one([1, hidden], 1)),
                    ("base_model.model." + name + ".lora_B.weight", one([hidden, 1], value)),
                ]))
            try folder.write("adapter/adapter_config.json", #"{"peft_type": "LORA", "r": 1, "lora_alpha": 1}"#)
            model = try model.merging([Adapter(directory: path, of: model)])
        }
        do {
            _ = try Converter(model, type: type, threads: 1).write(to: folder.at("m.phi"))
            return ""
        } catch let error as FormatError {
            #expect(folder.names.allSatisfy { !$0.contains("m.phi") })
            return error.description.replacingOccurrences(of: folder.path + "/", with: "")
        }
    }

    @Test(arguments: [
        "model.embed_tokens", "model.layers.1.self_attn.k_proj", "model.layers.0.mlp.fc1", "model.layers.1.mlp.fc2",
        "lm_head",
    ])
    func namesTheTensor(_ name: String) throws {
        let advice = "has weights that are too large for f16; --type f32 keeps them"
        #expect(try fault(name, 70_000, .f16) == "checkpoint/model.safetensors: tensor '\(name).weight' \(advice)")
        #expect(try !fault(name, -65_504, .f16).contains("too large"))
        #expect(try !fault(name, 70_000, .f32).contains("too large"))
    }

    @Test(arguments: [WeightType.q8, .q4, .q3]) func namesTheTensorOfIntegers(_ type: WeightType) throws {
        let name = "model.layers.1.self_attn.dense"
        #expect(
            try fault(name, 1e30, type)
                == "checkpoint/model.safetensors: tensor '\(name).weight' has weights that are too large for \(type); --type f32 keeps them"
        )
    }

    @Test func namesTheAdapter() throws {
        let name = "model.layers.0.self_attn.v_proj"
        #expect(
            try fault(name, 1e5, .f16, adapter: true)
                == "adapter: its update of '\(name).weight' has weights that are too large for f16; --type f32 keeps them"
        )
    }
}
