import Foundation
import PhiCheckpoint
import PhiFormat
import PhiTestSupport
import Testing

/// The files that a download takes are those that the readers open.
@Suite struct CheckpointFilesTests {
    private static let models = [
        "current-safetensors-f32", "first-port-safetensors-split-bf16", "grouped-safetensors-bf16",
        "mixformer-bin-split-f32",
        "transformer-bin-f16", "codegen", "gptj",
    ]

    private func names(_ folder: String) throws -> Set<String> {
        Set(try FileManager.default.contentsOfDirectory(atPath: folder))
    }

    /// Names of files that no reader opens, or only where others are missing.
    private static let others = [
        "README.md", "model.gguf", "tf_model.h5", "flax_model.msgpack", "onnx/model.onnx", "original/model.safetensors",
        "consolidated.00.pth", "modeling_phi.py", "adapter_model.bin",
    ]

    @Test(arguments: models) func areThoseThatAModelReads(_ name: String) throws {
        let copy = try CheckpointCopy(of: name)
        let settings = ["generation_config.json", "special_tokens_map.json", "tokenizer_config.json"]
        for file in settings where try !names(copy.path).contains(file) { try copy.write(file, "{}") }
        let needed = try NeededFiles(of: .model, in: name, among: names(copy.path).union(Self.others))
        var all = needed.names
        if let index = needed.index {
            all += try NeededFiles.shards(of: ReadableFile(path: copy.path + "/" + index))
        }
        for file in try names(copy.path) where !all.contains(file) { try copy.remove(file) }
        let read = try CheckpointModel(path: copy.path).files.map(\.name)
        #expect(Set(read) == Set(all))
        #expect(needed.names.first == "config.json")
        #expect(needed.names.last.map { $0.contains("model") } == true)
    }

    @Test func areThoseThatAnAdapterReads() throws {
        let folder = fixture("adapters/attention")
        let base = try CheckpointModel(path: fixture("current-safetensors-f32"))
        let read = try Adapter(directory: FilePath(folder), of: base).files.map(\.name)
        let needed = try NeededFiles(of: .adapter, in: "x", among: names(folder).union(Self.others))
        #expect(needed.names == read && needed.index == nil)
        #expect(
            fault { () throws(FormatError) in
                _ = try NeededFiles(of: .adapter, in: "x", among: ["adapter_config.json"])
            } == "holds no adapter: no adapter_model.safetensors, no adapter_model.bin")
    }

    @Test func preferSafetensorsAndWholeFiles() throws {
        func weights(_ names: String...) throws -> String? {
            try NeededFiles(of: .model, in: "x", among: Set(names + ["config.json", "tokenizer.json"])).names.last
        }
        #expect(
            try weights("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin") == "model.safetensors"
        )
        #expect(try weights("model.safetensors.index.json", "pytorch_model.bin") == "model.safetensors.index.json")
        #expect(try weights("pytorch_model.bin", "pytorch_model.bin.index.json") == "pytorch_model.bin")
    }
}
