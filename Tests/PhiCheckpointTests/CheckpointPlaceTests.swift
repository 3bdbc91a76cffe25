import Foundation
import PhiCheckpoint
import PhiFormat
import PhiTestSupport
import Testing

/// Paths that a checkpoint is found by, and files that stand in for one.
@Suite struct CheckpointPlaceTests {
    private func fault(_ path: String) -> String { PhiTestSupport.fault { _ = try CheckpointModel(path: path) } }

    /// An entry of Hugging Face's cache: snapshots of links to blobs.
    private struct CacheEntry {
        let folder: TemporaryFolder

        init(_ snapshots: [String], main: String?) throws {
            folder = try TemporaryFolder()
            let manager = FileManager.default
            try manager.copyItem(atPath: fixture("current-safetensors-f32"), toPath: folder.at("blobs"))
            for snapshot in snapshots {
                try manager.createDirectory(
                    atPath: folder.at("snapshots/" + snapshot), withIntermediateDirectories: true)
                for name in ["config.json", "tokenizer.json", "model.safetensors"] {
                    try manager.createSymbolicLink(
                        atPath: folder.at("snapshots/\(snapshot)/\(name)"), withDestinationPath: "../../blobs/" + name)
                }
            }
            try folder.makeFolder("refs")
            if let main { try folder.write("refs/main", main) }
        }

        /// The paths of the files of the checkpoint at `path` in it.
        func files(_ path: String = "") throws -> [String] {
            try CheckpointModel(path: folder.path + path).files.map { String($0.path.dropFirst(folder.path.count)) }
        }

        var fault: String { PhiTestSupport.fault { _ = try files() } }
    }

    @Test func takesTheMainSnapshotOfACacheEntry() throws {
        let entry = try CacheEntry(["abc", "def"], main: "def")
        #expect(try entry.files().allSatisfy { $0.hasPrefix("/snapshots/def/") })
        #expect(try entry.files("/snapshots/abc/").count == 3)
        #expect(try entry.files("/snapshots/abc/model.safetensors").allSatisfy { $0.hasPrefix("/snapshots/abc/") })
    }

    @Test func takesTheOnlySnapshotAndRefusesToChoose() throws {
        #expect(try CacheEntry(["abc"], main: nil).files().count == 3)
        #expect(try CacheEntry(["a", "b"], main: nil).fault.hasPrefix("has no refs/main and 2 snapshots"))
        #expect(try CacheEntry(["a"], main: "b").fault.hasPrefix("no such directory, but refs/main names it"))
        for name in ["../blobs", "..", "", "a/b"] {
            #expect(try CacheEntry(["a"], main: name).fault.hasPrefix("names no snapshot"), "\(name)")
        }
    }

    @Test func namesLinksToNothing() throws {
        let entry = try CacheEntry(["abc"], main: "abc")
        try FileManager.default.removeItem(atPath: entry.folder.at("blobs/model.safetensors"))
        #expect(entry.fault == "is a link to nothing: no such file")
    }

    @Test(arguments: ["current-safetensors-f32/model.safetensors", "transformer-bin-f16/pytorch_model.bin"])
    func takesAFileOfWeightsOfAnyName(_ name: String) throws {
        #expect(try CheckpointModel(path: fixture(name)).config.layers == 2)
        let parts = name.split(separator: "/").map(String.init)
        let copy = try CheckpointCopy(of: parts[0])
        try FileManager.default.moveItem(atPath: copy.path + "/" + parts[1], toPath: copy.path + "/step-100.pt")
        #expect(try CheckpointModel(path: copy.path + "/step-100.pt").config.layers == 2)
        #expect(fault(copy.path).hasPrefix("holds no checkpoint"))
    }

    @Test func refusesOtherPlaces() throws {
        let copy = try CheckpointCopy()
        #expect(fault(copy.path + "/none") == "no such file or directory")
        #expect(fault("no-such-organisation/phi-1") == "no such file or directory")
        #expect(fault("../no-such/phi-1") == "no such file or directory")
        #expect(fault(copy.path + "/config.json").hasPrefix("holds no weights that are known"))
        try FileManager.default.moveItem(
            atPath: copy.path + "/model.safetensors", toPath: copy.path + "/model-00001-of-00002.safetensors")
        let shard = fault(copy.path + "/model-00001-of-00002.safetensors")
        #expect(shard == "is one of several files of weights; give their directory")
        // Some trainers save the base model's config beside an adapter.
        try copy.write("adapter_config.json", "{}")
        #expect(fault(copy.path).hasPrefix("is a PEFT adapter, not a model"))
        try copy.remove("config.json")
        try copy.write("adapter_config.json", #"{"peft_type": "LORA"}"#)
        #expect(
            fault(copy.path) == "is a PEFT adapter, not a model; give it by --adapter when its base model is converted")
        try copy.remove("adapter_config.json")
        for name in ["b.GGUF", "a.gguf"] { try copy.write(name, "GGUF") }
        #expect(fault(copy.path) == "has no config.json, but a GGUF file; give that: \(copy.path)/a.gguf")
    }

    static let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab\nsize 5563105864\n"

    static let standIns: [(content: [UInt8], fault: String)] = [
        (Array(pointer.utf8), "is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"),
        (Array("<!DOCTYPE html><html><body>401".utf8), "is a web page (HTML), not "),
        (Array("\n <HTML>".utf8), "is a web page (HTML), not "),
        ([], "is empty (0 bytes), so it is not "),
    ]

    @Test(arguments: standIns.indices, ["model.safetensors", "config.json", "tokenizer.json"])
    func saysWhatToDoAboutStandIns(_ index: Int, _ name: String) throws {
        let copy = try CheckpointCopy()
        try copy.write(name, Self.standIns[index].content)
        do {
            _ = try CheckpointModel(path: copy.path)
            Issue.record("opened")
        } catch {
            #expect(
                error.file == copy.path + "/" + name && error.fault.hasPrefix(Self.standIns[index].fault), "\(error)")
        }
    }

    @Test func saysWhatToDoAboutOtherFormats() throws {
        let safetensors = try readFile(fixture("current-safetensors-f32/model.safetensors"))
        let torch = try readFile(fixture("torch/views.bin"))
        let gguf = Array("GGUF".utf8) + [UInt8](repeating: 0, count: 100)
        for (content, inSafetensors, inTorch) in [
            (torch, "is a torch archive, not a safetensors file; rename it to pytorch_model.bin", ""),
            (safetensors, "", "is a safetensors file, not a torch archive; rename it to model.safetensors"),
            (
                gguf, "is a GGUF file, not a safetensors file; convert it with `phi convert`",
                "is a GGUF file, not a torch archive; convert it with `phi convert`"
            ),
        ] {
            let folder = try TemporaryFolder()
            let file = try folder.file("x", content)
            #expect(PhiTestSupport.fault { _ = try Safetensors.tensors(of: file) } == inSafetensors)
            #expect(PhiTestSupport.fault { _ = try TorchArchive.tensors(of: file) } == inTorch)
        }
    }
}
