import Foundation
import PhiCheckpoint
import PhiFormat
import PhiTestSupport
import Testing

/// Damaged and hostile GGUF files, among them the kinds that have crashed llama.cpp and Ollama.
struct GGUFFaultTests {
    private static let good = try? TestGGUF(readFile(fixture("gguf/f32.gguf")))

    private static func fault(_ bytes: [UInt8]) throws -> String {
        let file = try TemporaryFolder().file("model.gguf", bytes)
        return PhiTestSupport.fault { _ = try CheckpointModel(gguf: file) }
    }

    private func expect(_ fault: String, _ change: (inout TestGGUF) -> Void) throws {
        var gguf = try #require(Self.good)
        change(&gguf)
        let found = try Self.fault(gguf.bytes)
        #expect(fault.isEmpty ? found.isEmpty : found.contains(fault), "'\(found)', not '\(fault)'")
    }

    @Test func theTestsOwnWriterIsRight() throws {
        let gguf = try #require(Self.good)
        #expect(try gguf.bytes == readFile(fixture("gguf/f32.gguf")))
    }

    @Test func refusesHeaders() throws {
        try expect("is not a GGUF file") { $0.magic = Array("GGML".utf8) }
        for version: UInt32 in [0, 1, 4, .max] {
            try expect("of version \(version), not 2 or 3") { $0.version = version }
        }
        try expect("is a big-endian GGUF file") { $0.version = UInt32(3).byteSwapped }
        for count: UInt64 in [.max, 1 << 63, 1 << 62, 1 << 40, 5000] {
            try expect("header that goes beyond") { $0.tensorCount = count }
            try expect("header that goes beyond") { $0.keyCount = count }
        }
        try expect("header that goes beyond") { $0.tensorCount = 34 }
        let bytes = try #require(Self.good).bytes
        for count in 0..<200 {
            let found = try Self.fault(Array(bytes.prefix(count)))
            #expect(found.contains(count < 4 ? "is not a GGUF file" : "header that goes beyond"))
        }
        #expect(try Self.fault(bytes.dropLast()).contains("goes beyond the file's"))
    }

    @Test func refusesCountsBeyondAnyModel() throws {
        var gguf = TestGGUF()
        gguf.keys = (0..<(1 << 16) + 1).map { ("\($0)", TestGGUF.flag(true)) }
        #expect(try Self.fault(gguf.bytes) == "has 65537 keys; a phi model has fewer than 65536")
        gguf = TestGGUF()
        gguf.tensors = (0..<(1 << 16) + 1).map { .init("\($0)", [], type: 0, data: []) }
        #expect(try Self.fault(gguf.bytes) == "has 65537 tensors; a phi model has fewer than 65536")
    }

    @Test func refusesValues() throws {
        func string(length: UInt64) -> [UInt8] { littleEndian(UInt32(8)) + littleEndian(length) }
        for length: UInt64 in [.max, .max - 7, 1 << 63, 1 << 32, 100_000] {
            try expect("header that goes beyond") { $0["x"] = string(length: length) }
            for type: UInt32 in [0, 4, 8, 12] {
                try expect("header that goes beyond") { $0["x"] = TestGGUF.array(of: type, count: length, []) }
            }
        }
        // Counts whose product with the size of an element wraps around.
        for count: UInt64 in [1 << 61, 1 << 62 + 1, 1 << 60 + 1] {
            try expect("header that goes beyond") {
                $0["x"] = TestGGUF.array(of: 10, count: count, littleEndian(UInt64(0)))
            }
        }
        let nested = TestGGUF.array(of: 9, count: 1, littleEndian(UInt32(4)) + littleEndian(UInt64(0)))
        try expect("key 'x' is an array of arrays") { $0["x"] = nested }
        try expect("key 'x' is an array of arrays") {
            $0["x"] = (0..<3000).reduce(into: littleEndian(UInt32(9))) { bytes, _ in
                bytes += littleEndian(UInt32(9)) + littleEndian(UInt64(1))
            }
        }
        try expect("key 'x' has the unknown type 13") { $0["x"] = littleEndian(UInt32(13)) }
        try expect("key 'x' has the unknown type 4294967295") {
            $0["x"] = TestGGUF.array(of: .max, count: 1, [0, 0, 0, 0])
        }
        try expect("has the key 'phi2.block_count' twice") { $0.keys.append(("phi2.block_count", TestGGUF.integer(2))) }
        try expect("") { $0["x"] = TestGGUF.text(String(repeating: "x", count: 1 << 20)) }
        try expect("") { $0["x"] = TestGGUF.array(of: 8, count: 0, []) }
        try expect("a key is 65536 bytes long") { $0[String(repeating: "k", count: 1 << 16)] = TestGGUF.flag(true) }
    }

    @Test func refusesTensors() throws {
        let name = "output.bias"
        func edit(_ fault: String, _ change: (inout TestGGUF.Tensor) -> Void) throws {
            try expect(fault) { $0.edit(name, change) }
        }
        try edit("tensor '\(name)' has 5 dimensions") { $0.dimensions = [1, 1, 1, 1, 1] }
        try edit("tensor '\(name)' has a shape too large") { $0.dimensions = [1 << 32, 1 << 32] }
        try edit("tensor '\(name)' has a shape too large") { $0.dimensions = [1 << 31, 1 << 31, 1 << 31, 1 << 31] }
        for count: UInt64 in [1 << 63, .max, 1 << 62, 1 << 60] {
            try edit("tensor '\(name)' goes beyond the file's") { $0.dimensions = [count] }
        }
        try edit("tensor '\(name)' has shape [], not [296]") { $0.dimensions = [] }
        try edit("tensor '\(name)' has shape [0], not [296]") { $0.dimensions = [0] }
        try edit("tensor '\(name)' has shape [1, 296], not [296]") { $0.dimensions = [296, 1] }
        for offset: UInt64 in [1 << 62, 1 << 20] {
            try edit("tensor '\(name)' goes beyond the file's") { $0.offset = offset }
        }
        for offset: UInt64 in [.max - 31, 1 << 63, 4] {
            try edit("tensor '\(name)' lies at byte \(offset) of the data, which is not a multiple of 32") {
                $0.offset = offset
            }
        }
        try edit("overlaps") { $0.offset = 64 }
        try edit("has rows of 296 elements, which are no whole blocks of 256") { $0.type = 12 }
        try edit("tensor '\(name)' is of type IQ2_XXS; take a file of F32, F16, BF16, Q4_0, ") { $0.type = 16 }
        try edit("tensor '\(name)' is of type number 4294967295; take") { $0.type = .max }
        try edit("has no tensor '\(name)' (and 1 more such faults)") { $0.name = "output.scale" }
        try edit("has no tensor '\(name)' (and 1 more such faults)") { $0.name = "" }
        try expect("tensor '\(name)' is listed twice") { $0.tensors.append(.init(name, [0], type: 0, data: [])) }
        try expect("has tensor 'blk.2.ffn_up.bias', which no phi model has") {
            $0.tensors.append(.init("blk.2.ffn_up.bias", [1], type: 0, data: [0, 0, 0, 0]))
        }
        try expect("has no tensor 'blk.0.attn_q.weight'") {
            $0.edit("blk.0.attn_q.weight") { $0.name = "rope_freqs.weight" }
        }
    }

    @Test func refusesAlignmentsAndParts() throws {
        for alignment: UInt32 in [0, 3, 48, 1 << 21, 1 << 31, .max] {
            try expect("has the alignment \(alignment), which is not a power of two") {
                $0["general.alignment"] = TestGGUF.integer(alignment)
            }
        }
        try expect("key 'general.alignment' is not an integer") { $0["general.alignment"] = TestGGUF.text("32") }
        for alignment in [1, 8, 4096] {
            try expect("") {
                $0.alignment = alignment
                $0["general.alignment"] = TestGGUF.integer(UInt32(alignment))
            }
        }
        try expect("is part 2 of 3; join them by llama.cpp's llama-gguf-split") {
            $0["split.no"] = littleEndian(UInt32(2)) + littleEndian(UInt16(1))
            $0["split.count"] = littleEndian(UInt32(2)) + littleEndian(UInt16(3))
        }
        try expect("") { $0["split.count"] = TestGGUF.integer(1) }
    }

    @Test func refusesOtherModels() throws {
        try expect("architecture 'llama' is not 'phi2'") { $0["general.architecture"] = TestGGUF.text("llama") }
        try expect("architecture '' is not 'phi2'") { $0["general.architecture"] = nil }
        for key in [
            "phi2.context_length", "phi2.embedding_length", "phi2.feed_forward_length", "phi2.block_count",
            "phi2.attention.head_count", "phi2.attention.layer_norm_epsilon",
        ] {
            try expect("has no key '\(key)'") { $0[key] = nil }
            try expect("key '\(key)' is not a") { $0[key] = TestGGUF.flag(true) }
        }
        for key in ["phi2.attention.head_count_kv", "phi2.rope.dimension_count", "phi2.attention.key_length"] {
            try expect("key '\(key)' is not an integer") { $0[key] = TestGGUF.array(of: 4, count: 0, []) }
        }
        for number: UInt32 in [0, .max] {
            for key in ["embedding_length", "block_count", "attention.head_count", "context_length"] {
                try expect("\(number)") { $0["phi2." + key] = TestGGUF.integer(number) }
            }
        }
        try expect("has no tensor 'blk.2.attn_norm.weight' (and 11230 more such faults)") {
            $0["phi2.block_count"] = TestGGUF.integer(1023)
        }
        try expect("values of 4 dimensions") { $0["phi2.attention.value_length"] = TestGGUF.integer(4) }
        try expect("rope scaling 'yarn' by 1.0 is not supported") {
            $0["phi2.rope.scaling.type"] = TestGGUF.text("yarn")
        }
        try expect("rope scaling 'linear' by 2.0 is not supported") {
            $0["phi2.rope.scaling.type"] = TestGGUF.text("linear")
            $0["phi2.rope.scaling.factor"] = TestGGUF.real(2)
        }
        try expect("") { $0["phi2.rope.scaling.type"] = TestGGUF.text("none") }
        try expect("rotary base is nan") { $0["phi2.rope.freq_base"] = TestGGUF.real(.nan) }
    }

    @Test func refusesTokenizers() throws {
        func key(_ name: String) -> String { "tokenizer.ggml." + name }
        for name in ["model", "tokens", "merges"] { try expect("has no key '\(key(name))'") { $0[key(name)] = nil } }
        try expect("tokenizer 'llama' is not supported") { $0[key("model")] = TestGGUF.text("llama") }
        try expect("pre-tokenizer 'llama-bpe' is not supported") { $0[key("pre")] = TestGGUF.text("llama-bpe") }
        try expect("") { $0[key("pre")] = nil }
        for name in ["add_bos_token", "add_eos_token", "add_space_prefix"] {
            try expect("\(name) is set") { $0[key(name)] = TestGGUF.flag(true) }
        }
        try expect("has 296 tokens, but types of 1") {
            $0[key("token_type")] = TestGGUF.array(of: 5, count: 1, littleEndian(UInt32(1)))
        }
        try expect("key '\(key("token_type"))' is not an array of integers") {
            $0[key("token_type")] = TestGGUF.texts(["a"])
        }
        try expect("key '\(key("tokens"))' is not an array of strings") {
            $0[key("tokens")] = TestGGUF.array(of: 4, count: 0, []) + []
            $0[key("tokens")] = TestGGUF.array(of: 4, count: 1, littleEndian(UInt32(1)))
        }
        try expect("has 2 tokens, but types of 296") { $0[key("tokens")] = TestGGUF.texts(["a", "b"]) }
        try expect("has the token 'a' twice") {
            $0[key("token_type")] = nil
            $0[key("tokens")] = TestGGUF.texts(["a", "a"])
        }
        try expect("a string of '\(key("tokens"))' is not UTF-8") {
            let string = littleEndian(UInt64(1)) + [0xFF]
            $0[key("tokens")] = TestGGUF.array(of: 8, count: 1, string)
        }
        try expect("merge 'ab' is not a pair") { $0[key("merges")] = TestGGUF.texts(["ab"]) }
        try expect("merge 'no such' has no token") { $0[key("merges")] = TestGGUF.texts(["no such"]) }
        try expect("has 262145 elements of 2359305 bytes, too many for phi") {
            $0[key("merges")] = TestGGUF.texts([String](repeating: "a", count: 1 << 18 + 1))
        }
        try expect("has 1 elements of 8388609 bytes, too many for phi") {
            $0[key("merges")] = TestGGUF.texts([String(repeating: "a", count: 1 << 23 - 7)])
        }
    }

    /// Headers with random damage either open or are refused, and what opens can be read.
    @Test func thousandsOfDamagedFiles() throws {
        let folder = try TemporaryFolder()
        var random = SeededRandom(seed: 20)
        for (name, rounds) in [("f32.gguf", 3000), ("fused.gguf", 1000)] {
            let good = try readFile(fixture("gguf/" + name))
            let header = good.count - good.count / 5
            var accepted = 0
            for _ in 0..<rounds {
                // The header is short beside the data; most damage goes there.
                let end = Int.random(in: 0..<10, using: &random) == 0 ? header : 12_000
                let file = try folder.file("model.gguf", random.mutate(good, in: 0..<end))
                do {
                    let model = try CheckpointModel(gguf: file)
                    let columns = model.config.shape(of: .weight(.head)).columns
                    var row = [Float](repeating: 0, count: columns)
                    try row.withUnsafeMutableBufferPointer { try model.readRows(.weight(.head), 1..<2, into: $0) }
                    accepted += 1
                } catch {
                    #expect(error is FormatError)
                }
            }
            #expect((1..<rounds).contains(accepted), "\(accepted)")
        }
    }
}
