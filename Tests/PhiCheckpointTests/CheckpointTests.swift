import Foundation
import PhiCheckpoint
import PhiFormat
import PhiTestSupport
import Testing

@Suite struct CheckpointTests {
    static let index = "model.safetensors.index.json"
    static let second = "model-00002-of-00003.safetensors"

    private func split() throws -> CheckpointCopy { try CheckpointCopy(of: "first-port-safetensors-split-bf16") }
    private func fault(of copy: CheckpointCopy) -> String {
        do {
            _ = try CheckpointTensors(CheckpointPlace(copy.path))
            return ""
        } catch { return error.description.replacingOccurrences(of: copy.path + "/", with: "") }
    }

    @Test func prefersSafetensorsAndWholeFiles() throws {
        let copy = try split()
        #expect(try CheckpointTensors(CheckpointPlace(copy.path)).files.count == 4)
        try copy.write("pytorch_model.bin", "damaged")
        #expect(try CheckpointTensors(CheckpointPlace(copy.path)).files.count == 4)
        try copy.write("model.safetensors", safetensors(["a": TestTensor(shape: [2])]))
        #expect(try CheckpointTensors(CheckpointPlace(copy.path)).tensors.count == 1)
        try copy.remove("model.safetensors")
        try copy.remove(Self.index)
        #expect(fault(of: copy) == "pytorch_model.bin: is not a torch archive (a zip file)")
        try copy.remove("pytorch_model.bin")
        #expect(fault(of: copy).contains("holds no checkpoint: no model.safetensors, no model.safetensors.index.json"))
    }

    @Test func readsThroughLinks() throws {
        // The Hugging Face cache holds links to files of other names.
        let copy = try CheckpointCopy()
        let manager = FileManager.default
        try manager.moveItem(atPath: copy.path + "/model.safetensors", toPath: copy.path + "/blob")
        try manager.createSymbolicLink(atPath: copy.path + "/model.safetensors", withDestinationPath: "blob")
        #expect(try CheckpointTensors(CheckpointPlace(copy.path)).tensors.count == 33)
    }

    @Test(arguments: ["../x.safetensors", "/etc/passwd", "..", ".", "", "a/b", "..\\\\x", "a\\u0000b"])
    func refusesFilesOutside(_ name: String) throws {
        let copy = try split()
        try copy.replace(Self.second, name, in: Self.index)
        #expect(fault(of: copy).hasPrefix(Self.index + ": names a file outside its directory: "))
    }

    @Test func namesWhatIsWrongWithShards() throws {
        var copy = try split()
        try copy.remove(Self.second)
        #expect(fault(of: copy) == Self.second + ": no such file, but the index names it")

        copy = try split()
        try copy.write(Self.second, "")
        #expect(
            fault(of: copy) == Self.second + ": is empty (0 bytes), so it is not a safetensors file; download it again")

        copy = try split()
        try copy.write(Self.second, safetensors(["lm_head.bias": TestTensor(shape: [1])]))
        let third = "model-00003-of-00003.safetensors"
        #expect(fault(of: copy).hasPrefix(third + ": holds tensor 'lm_head.bias', and so does "))

        copy = try split()
        try copy.write(Self.second, safetensors(["a": TestTensor(shape: [1])]))
        #expect(fault(of: copy).hasPrefix(Self.second + ": has no tensor 'model.layers."))

        copy = try split()
        try FileManager.default.removeItem(atPath: copy.path + "/" + Self.second)
        try FileManager.default.createDirectory(
            atPath: copy.path + "/" + Self.second, withIntermediateDirectories: false)
        #expect(fault(of: copy) == Self.second + ": is a directory")
    }

    @Test(arguments: [
        ("", "is empty (0 bytes)"), ("{}", "has no 'weight_map'"),
        (#"{"weight_map":[]}"#, "'weight_map' is not of the"),
        (#"{"weight_map":{"a":1}}"#, "'weight_map.a' is not a string"),
        (#"{"weight_map":{"a":"x","a":"y"}}"#, "holds the key 'a' twice"),
        (#"{"weight_map":"# + String(repeating: "[", count: 10_000), "is not JSON"),
    ])
    func refusesIndexes(_ text: String, _ expected: String) throws {
        let copy = try split()
        try copy.write(Self.index, text)
        #expect(fault(of: copy).hasPrefix(Self.index + ": " + expected))
    }
}
