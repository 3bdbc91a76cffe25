import Foundation
import Phi
import PhiCheckpoint
import PhiFormat
import PhiTestSupport
import PhiTokenizer
import Testing

/// GGUF files against llama.cpp's own package and Hugging Face; Tools/golden/gguf_files.py made the files.
struct GGUFModelTests {
    private struct Expected: Decodable {
        struct Text: Decodable {
            let text: String
            let ids: [TokenID]
        }
        let texts: [Text]
        /// SHA-256 of every parameter's values.
        let models: [String: [String]]
    }

    private static func expected() throws -> Expected {
        try JSONDecoder().decode(Expected.self, from: Data(readFile(fixture("gguf/expected.json"))))
    }

    private static func read(_ model: CheckpointModel, _ parameter: Parameter) throws -> [Float] {
        let (rows, columns) = model.config.shape(of: parameter)
        var floats = [Float](repeating: .nan, count: rows * columns)
        try floats.withUnsafeMutableBufferPointer { try model.readRows(parameter, 0..<rows, into: $0) }
        return floats
    }

    @Test(arguments: BlockType.allCases) func blocksAreThoseOfLlamaCpp(_ type: BlockType) throws {
        let tensors = try GGUFFile(ReadableFile(path: fixture("gguf/blocks.gguf"))).tensors
        #expect(tensors.count == 2 * BlockType.allCases.count)
        let stored = try #require(tensors[type.name])
        let values = try floats(#require(tensors[type.name + ".f32"]))
        #expect(stored.elementType == .blocks(type) && stored.refusal == nil)
        #expect(values.count >= 24 * type.elements)
        #expect(try floats(stored).map(\.bitPattern) == values.map(\.bitPattern))
        // Pieces that begin and end inside a block, and none.
        for piece in [1..<5, type.elements - 1..<type.elements * 3 + 2, 7..<7] {
            var part = [Float](repeating: .nan, count: piece.count)
            try part.withUnsafeMutableBufferPointer { try stored.readFloats(piece, into: $0) }
            #expect(part.map(\.bitPattern) == values[piece].map(\.bitPattern))
        }
    }

    @Test func modelsHoldWhatLlamaCppReads() throws {
        let expected = try Self.expected()
        #expect(expected.models.count == 3)
        for (name, digests) in expected.models {
            let model = try CheckpointModel(path: fixture("gguf/" + name))
            let parameters = Parameter.all(layers: model.config.layers)
            #expect(parameters.count == digests.count && model.naming == .gguf && model.files.map(\.name) == [name])
            for (parameter, digest) in zip(parameters, digests) {
                let found = try Self.read(model, parameter).withUnsafeBytes { SHA256Digest($0).description }
                #expect(found == digest, "\(name): \(parameter)")
            }
        }
    }

    @Test(arguments: ["f32.gguf", "k-quants.gguf", "fused.gguf"])
    func tokenizersAreHuggingFaces(_ name: String) throws {
        let model = try CheckpointModel(path: fixture("gguf/" + name))
        let directory = try CheckpointModel(path: fixture("current-safetensors-f32"))
        #expect(model.vocabulary == directory.vocabulary)
        #expect(model.endsOfText.bounds == directory.endsOfText.bounds)
        #expect(model.endsOfText.source == "tokenizer.ggml.eos_token_id")
        let tokenizer = Tokenizer(model.vocabulary)
        for text in try Self.expected().texts { #expect(tokenizer.encode(text.text) == text.ids) }
    }

    @Test func shapesAreThoseOfTheFile() throws {
        let exact = try CheckpointModel(path: fixture("current-safetensors-f32")).config
        #expect(try CheckpointModel(path: fixture("gguf/f32.gguf")).config == exact)
        #expect(
            try CheckpointModel(path: fixture("gguf/fused.gguf")).config
                == ModelConfig(
                    hiddenSize: 64, intermediateSize: 96, layers: 1, heads: 4, kvHeads: 2, headSize: 16,
                    rotaryDimensions: 8, context: 64, vocabulary: 286, endOfText: 2, rotaryBase: 10_000,
                    layerNormEpsilon: 1e-5))
    }

    @Test func missingBiasesOfAttentionAreZero() throws {
        let original = try CheckpointModel(path: fixture("gguf/f32.gguf"))
        let parts = ["q", "k", "v"].map { "blk.0.attn_\($0)" }
        for isFused in [false, true] {
            let folder = try TemporaryFolder()
            var gguf = try TestGGUF(readFile(fixture("gguf/f32.gguf")))
            let weights = parts.compactMap { name in gguf.tensors.first { $0.name == name + ".weight" } }
            try #require(weights.count == 3)
            let missing = isFused ? parts : [parts[0], parts[2]]
            gguf.tensors.removeAll { tensor in missing.contains { tensor.name == $0 + ".bias" } }
            if isFused {
                gguf.tensors.removeAll { tensor in parts.contains { tensor.name == $0 + ".weight" } }
                gguf.tensors.append(.init("blk.0.attn_qkv.weight", [16, 48], type: 0, data: weights.flatMap(\.data)))
            }
            let model = try CheckpointModel(path: folder.write("model.gguf", gguf.bytes))
            for module in [Module.query(0), .key(0), .value(0)] {
                let bias = try Self.read(model, .bias(module))
                let isKept = !isFused && module == .key(0)
                #expect(try isKept ? bias == Self.read(original, .bias(module)) : bias.allSatisfy { $0 == 0 })
                #expect(try Self.read(model, .weight(module)) == Self.read(original, .weight(module)), "\(module)")
            }
        }
    }

    @Test func pathsAreOfFilesOrDirectories() throws {
        let folder = try TemporaryFolder()
        let other = try folder.write("model.bin", readFile(fixture("gguf/f32.gguf")))
        #expect(try CheckpointModel(path: other).naming == .gguf, "the contents tell, not the name")
        #expect(try CheckpointModel(path: fixture("current-safetensors-f32")).naming == .current)
        #expect(try CheckpointModel(path: other, endsOfText: ["<|endoftext|>"]).endsOfText.bounds.ends == [280])
        let text = fault { _ = try CheckpointModel(path: other, endsOfText: ["no such"]) }
        #expect(text == "has no token 'no such', which --eos names")
    }
}
