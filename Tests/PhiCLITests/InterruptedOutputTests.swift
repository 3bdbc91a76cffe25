import Foundation
import PhiTestSupport
import Synchronization
import Testing

/// Every command that writes a file, ended while it does: an old file stays as it was until the new one is whole.
@Suite struct InterruptedOutputTests {
    enum Writer: String, CaseIterable {
        case convertCheckpoint, convertGGUF, convertWithAdapter, export, logits
    }

    private static let signals = [SIGINT, SIGTERM, SIGHUP, SIGKILL]

    @Test(arguments: Writer.allCases, signals) func keepsTheOldFile(_ writer: Writer, _ signal: Int32) throws {
        let folder = try TemporaryFolder()
        let output = try folder.write("output", "precious")
        let arguments = try Self.arguments(writer, output: output)
        // From when the new file is begun. On a fast machine a later moment may be after the end.
        for delay in [0, 0.02, 0.1] {
            let program = try Command.start(arguments)
            while folder.names.count == 1, program.isRunning { usleep(500) }
            usleep(UInt32(delay * 1e6))
            let start = ContinuousClock.now
            program.signal(signal)
            let outcome = try program.wait()
            #expect(start.duration(to: .now) < .seconds(10))
            if outcome.status == 0 {
                #expect(delay > 0, "ended before it could be interrupted")
                #expect(folder.names == ["output"])
                try folder.write("output", "precious")
                continue
            }
            #expect(try readFile(output) == Array("precious".utf8))
            if signal == SIGKILL {
                #expect(outcome.signal == SIGKILL)
                #expect(folder.names == ["output", "output.\(program.pid).1.part"])
                try FileManager.default.removeItem(atPath: folder.at("output.\(program.pid).1.part"))
            } else {
                #expect(outcome.status == 128 + signal, "\(outcome.errorText)")
                #expect(outcome.error.isEmpty && outcome.output.isEmpty)
                #expect(folder.names == ["output"])
            }
        }
    }

    private static func arguments(_ writer: Writer, output: String) throws -> [String] {
        let inputs = try inputs.get()
        let convert = ["convert", "-o", output, "--force"]
        return switch writer {
        case .convertCheckpoint: convert + [inputs.at("large")]
        case .convertGGUF: convert + [inputs.at("large.gguf")]
        case .convertWithAdapter: convert + [inputs.at("large"), "--adapter", inputs.at("adapter")]
        case .export: ["export", "-m", inputs.at("wide.phi"), "-o", output, "--type", "f32", "--force"]
        case .logits: ["logits", "-m", try Models.long(), "--ids", inputs.at("ids.json"), "-o", output]
        }
    }

    private static let hidden = 1024

    /// Where ``inputs`` lie.
    private static let path = Mutex("")

    /// Inputs that take seconds to read, and no room on the disk.
    private static let inputs = Result {
        let folder = try TemporaryFolder()
        try SparseCheckpoint(hidden: hidden, layers: 2).write(to: folder, "large")
        try writeGGUF(to: folder)
        try folder.makeFolder("adapter")
        try folder.write("adapter/adapter_config.json", #"{"peft_type": "LORA", "r": 1, "lora_alpha": 1}"#)
        let name = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
        try folder.write(
            "adapter/adapter_model.safetensors",
            safetensors([
                (name + "A.weight", TestTensor(shape: [1, hidden])),
                (name + "B.weight", TestTensor(shape: [hidden, 1])),
            ]))
        let wide = TinyCheckpoint(hidden: 512, intermediate: 2048, layers: 4, heads: 8)
        let made = try Command.run(
            "convert", wide.write(to: folder, "wide"), "-o", folder.at("wide.phi"), "--type", "f16")
        try #require(made.status == 0, "\(made.errorText)")
        try folder.write("ids.json", "\(Array(repeating: 70, count: 40_000))")
        path.withLock { $0 = folder.path }
        atexit { InterruptedOutputTests.path.withLock { try? FileManager.default.removeItem(atPath: $0) } }
        return folder
    }

    /// A GGUF file of zeros in F16, of the keys that `phi export` writes.
    private static func writeGGUF(to folder: TemporaryFolder) throws {
        let path = folder.at("large.gguf")
        let outcome = try Command.run("export", "-m", Models.path("f32"), "-o", path)
        try #require(outcome.status == 0, "\(outcome.errorText)")
        var gguf = try TestGGUF(readFile(path))
        for (key, value) in [
            ("embedding_length", hidden), ("feed_forward_length", 4 * hidden), ("attention.head_count", 16),
            ("attention.head_count_kv", 16), ("rope.dimension_count", 32),
        ] { gguf["phi2." + key] = TestGGUF.integer(UInt32(value)) }
        var end: UInt64 = 0
        for index in gguf.tensors.indices {
            let name = gguf.tensors[index].name
            var dimensions = gguf.tensors[index].dimensions.map { $0 == 300 ? 300 : UInt64(hidden) }
            if name.contains("ffn_up") { dimensions[dimensions.count - 1] = UInt64(4 * hidden) }
            if name.contains("ffn_down.weight") { dimensions[0] = UInt64(4 * hidden) }
            gguf.tensors[index] = .init(name, dimensions, type: 1, data: [])
            gguf.tensors[index].offset = end
            end += (2 * dimensions.reduce(1, *) + 31) / 32 * 32
        }
        let head = gguf.bytes
        try folder.write("large.gguf", head)
        try #require(truncate(path, off_t(head.count) + off_t(end)) == 0)
    }
}
