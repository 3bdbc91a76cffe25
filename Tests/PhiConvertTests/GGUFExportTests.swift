import Foundation
import Phi
import PhiCheckpoint
import PhiConvert
import PhiFormat
import PhiTestSupport
import Testing

/// GGUF files that are written, against llama.cpp's own package and by reading them again.
struct GGUFExportTests {
    @Test(arguments: [("F16", ExportType.f16), ("Q8_0", .q8_0)])
    func rowsAreThoseOfLlamaCpp(_ name: String, _ type: ExportType) throws {
        let tensors = try GGUFFile(ReadableFile(path: fixture("gguf/rounded.gguf"))).tensors
        let values = try floats(#require(tensors["values"]))
        let expected = try floats(#require(tensors[name]))
        let columns = 64
        for row in 0..<values.count / columns {
            let own = Array(values[row * columns..<(row + 1) * columns])
            var bytes = [UInt8](repeating: 0xFF, count: type.bytes(columns: columns))
            let fits = own.withUnsafeBufferPointer { own in
                bytes.withUnsafeMutableBytes { type.encode(own, into: $0) }
            }
            #expect(fits)
            let file = try TemporaryFolder().file("row.gguf", fileOf(bytes, columns, name == "F16" ? 1 : 8))
            let stored = try #require(GGUFFile(file).tensors["row"])
            let right = expected[row * columns..<(row + 1) * columns].map(\.bitPattern)
            #expect(try floats(stored).map(\.bitPattern) == right, "row \(row)")
        }
    }

    private func fileOf(_ bytes: [UInt8], _ columns: Int, _ type: UInt32) -> [UInt8] {
        var gguf = TestGGUF()
        gguf.tensors = [.init("row", [UInt64(columns)], type: type, data: bytes)]
        return gguf.bytes
    }

    @Test func refusesNumbersThatDoNotFit() {
        for (type, value, fits) in [
            (ExportType.f32, Float.infinity, true), (.f16, 65_519, true), (.f16, 65_520, false), (.f16, .nan, false),
            (.f16, -.infinity, false), (.q8_0, 8_000_000, true), (.q8_0, 8_400_000, false),
            (.q8_0, .leastNonzeroMagnitude, true),
        ] {
            let row = [value] + [Float](repeating: 0, count: 31)
            var bytes = [UInt8](repeating: 0, count: type.bytes(columns: 32))
            let found = row.withUnsafeBufferPointer { row in
                bytes.withUnsafeMutableBytes { type.encode(row, into: $0) }
            }
            #expect(found == fits, "\(value) in \(type)")
        }
    }

    private func convert(_ checkpoint: CheckpointModel, to path: String) throws -> LanguageModel {
        _ = try Converter(checkpoint, type: .f32, threads: 1).write(to: path)
        return try LanguageModel(contentsOf: path)
    }

    /// A file in f32 loses nothing: converted again it is the same model, shape, tokenizer and all.
    @Test(arguments: ["current-safetensors-f32", "grouped-safetensors-bf16"])
    func modelsComeBack(_ name: String) throws {
        let folder = try TemporaryFolder()
        let ends = ["7", "<|endoftext|>", "9"]
        let model = try convert(CheckpointModel(path: fixture(name), endsOfText: ends), to: folder.at("a.phi"))
        var shares: [Double] = []
        try GGUFExporter(model, type: .f32).write(to: FilePath(folder.at("a.gguf"))) {
            shares.append($0)
            return true
        }
        #expect(shares.last.map { $0 > 0.99 && $0 <= 1 } == true && shares == shares.sorted())
        #expect(try GGUFFile(ReadableFile(path: folder.at("a.gguf"))).string("general.name") == "a")
        let again = try convert(CheckpointModel(path: folder.at("a.gguf")), to: folder.at("b.phi"))
        #expect(again.file.sections.map(\.name) == model.file.sections.map(\.name))
        for (section, other) in zip(again.file.sections, model.file.sections) where section.name != "provenance" {
            #expect(section.digest == other.digest, "\(section.name)")
        }
        #expect(folder.names == ["a.gguf", "a.phi", "b.phi"])
    }

    /// Whatever the tokenizer is, the file that is written can be read.
    @Test(arguments: ["two-passes-of-added-tokens", "unknown-token", "byte-without-token", "three-ends-of-text"])
    func samplesAreRead(_ name: String) throws {
        let folder = try TemporaryFolder()
        let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Formats/good/\(name).phi").path
        let model = try LanguageModel(contentsOf: path)
        try GGUFExporter(model, type: .f32).write(to: FilePath(folder.at("a.gguf")))
        let again = try CheckpointModel(path: folder.at("a.gguf")).vocabulary
        let vocabulary = model.tokenizer.vocabulary
        #expect(again.count == vocabulary.count)
        for id in 0..<vocabulary.count {
            #expect(Array(again.bytes(of: TokenID(id))) == Array(vocabulary.bytes(of: TokenID(id))), "\(id)")
        }
    }

    /// Rows that are no whole blocks are f16, as in llama.cpp.
    @Test func typesAreThoseAskedFor() throws {
        let folder = try TemporaryFolder()
        let checkpoint = try TinyCheckpoint().write(to: folder)
        let model = try convert(CheckpointModel(path: checkpoint), to: folder.at("a.phi"))
        for type in ExportType.allCases {
            try GGUFExporter(model, type: type).write(to: FilePath(folder.at("a.gguf")), overwrite: true)
            let tensors = try GGUFFile(ReadableFile(path: folder.at("a.gguf"))).tensors
            let expected: ElementType =
                switch type {
                case .f32: .float32
                case .f16: .float16
                case .q8_0: .blocks(.q8_0)
                }
            for (name, tensor) in tensors {
                #expect(tensor.elementType == (tensor.shape.count == 1 ? .float32 : expected), "\(name)")
            }
        }
        let narrow = try convert(
            CheckpointModel(path: fixture("current-safetensors-f32")), to: folder.at("narrow.phi"))
        try GGUFExporter(narrow, type: .q8_0).write(to: FilePath(folder.at("narrow.gguf")))
        let tensors = try GGUFFile(ReadableFile(path: folder.at("narrow.gguf"))).tensors
        #expect(tensors["blk.0.attn_q.weight"]?.elementType == .float16)
    }

    @Test func leavesNothingBehind() throws {
        let folder = try TemporaryFolder()
        var checkpoint = TinyCheckpoint()
        checkpoint.edit("lm_head.weight") { $0[5] = 1e9 }
        let model = try convert(CheckpointModel(path: checkpoint.write(to: folder)), to: folder.at("a.phi"))
        let text = fault { try GGUFExporter(model, type: .f16).write(to: FilePath(folder.at("a.gguf"))) }
        #expect(text == "output.weight has weights that are too large for f16")
        #expect(throws: CancellationError.self) {
            try GGUFExporter(model, type: .f32).write(to: FilePath(folder.at("a.gguf"))) { _ in false }
        }
        #expect(folder.names == ["a.phi", "checkpoint"])
        try folder.write("a.gguf", "precious")
        let again = fault { try GGUFExporter(model, type: .f32).write(to: FilePath(folder.at("a.gguf"))) }
        #expect(again.contains("exists already"))
    }

    /// A vocabulary without the bytes of the prompt that tests begin with.
    @Test func aPromptOfNoTokenIsTheStartOfText() throws {
        let folder = try TemporaryFolder()
        var tiny = TinyCheckpoint(hidden: 16, intermediate: 16, layers: 1, heads: 1, rows: 2, tokens: 257)
        tiny.tokenizer = tiny.tokenizer.replacing(
            /"vocab": {.*}, "merges"/, with: #""vocab": {"<|endoftext|>": 0, "Z": 1}, "merges""#
        )
        .replacing(#""id": 256"#, with: #""id": 0"#)
        tiny.config["eos_token_id"] = "0"
        let model = try convert(CheckpointModel(path: tiny.write(to: folder)), to: folder.at("a.phi"))
        try model.verifyTests()
        #expect(model.config.vocabulary == 2)
    }
}
