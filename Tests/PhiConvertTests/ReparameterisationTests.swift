import Foundation
import Phi
import PhiCheckpoint
import PhiConvert
import PhiFormat
import PhiTestSupport
import Testing

/// Conversions of models with activations many times larger than others.
@Suite struct ReparameterisationTests {
    private static let sequenceLength = 500
    private static let ids = Seeded.ids(8 * sequenceLength, vocabulary: 300)

    private func logits(_ model: LanguageModel) throws -> [[Float]] {
        var rows: [[Float]] = []
        for first in stride(from: 0, to: Self.ids.count, by: Self.sequenceLength) {
            let ids = Array(Self.ids[first..<first + Self.sequenceLength])
            try Session(model, threads: 1).append(ids) { _, logits in rows.append(Array(logits)) }
        }
        return rows
    }

    private func convert(
        _ checkpoint: CheckpointModel, _ type: WeightType, _ text: CalibrationText?, in folder: TemporaryFolder
    ) throws -> [[Float]] {
        let path = folder.at("\(type).phi")
        _ = try Converter(checkpoint, type: type, calibration: text, threads: 1).write(to: path, overwrite: true)
        return try logits(LanguageModel(contentsOf: path))
    }

    @Test(arguments: try HardModel.goldens().keys.sorted()) func q8LosesHardlyMoreThanBlocksOf32(
        _ name: String
    ) throws {
        let golden = try #require(HardModel.goldens()[name])
        let folder = try TemporaryFolder()
        let path = try HardModel(name: name).checkpoint().write(to: folder)
        let checkpoint = try CheckpointModel(path: path)
        let right = try convert(checkpoint, .f32, nil, in: folder)
        // What the residual stream carries is not seen in the weights.
        for text in name.hasPrefix("residual") ? [.builtIn] : [nil, CalibrationText.builtIn] {
            let (kl, top) = try divergence(right, convert(checkpoint, .q8, text, in: folder))
            #expect(kl <= golden.kl * 1.5)
            #expect(top >= golden.top - 0.005)
        }
    }

    /// Outliers that differ from token to token get a block of their own, and the file depends on neither threads nor processor.
    @Test(arguments: [WeightType.q4, .q8]) func addedChannelsGiveTheSameBytesAlways(_ type: WeightType) throws {
        let folder = try TemporaryFolder()
        let path = try HardModel(name: "mlp-tokens-4").checkpoint().write(to: folder)
        let checkpoint = try CheckpointModel(path: path)
        let lines = (0..<400).map { "def f\($0)(x): return x * \($0 % 17)\n" }.joined()
        let text = try CalibrationText(FilePath(folder.write("text.py", lines)))
        func convert(threads: Int, _ kernels: Kernels) throws -> [UInt8] {
            let converter = try Converter(
                checkpoint, type: type, calibration: text, threads: threads, kernels: kernels)
            let report = try converter.write(to: folder.at("m.phi"), overwrite: true)
            #expect(report.addedChannels == 64)
            return try readFile(folder.at("m.phi"))
        }
        let kernels = try #require(Kernels.available.first)
        let expected = try convert(threads: 1, kernels)
        for threads in 2...3 { #expect(try convert(threads: threads, kernels) == expected) }
        for kernels in Kernels.available { #expect(try convert(threads: 2, kernels) == expected, "\(kernels.name)") }
        let model = try LanguageModel(contentsOf: folder.at("m.phi"))
        #expect(model.config.intermediateSize == checkpoint.config.intermediateSize + 64)
        try model.verifyWeights()
    }

    /// A model without outliers keeps its parameters.
    @Test func ordinaryModelsStayAsTheyAre() throws {
        let folder = try TemporaryFolder()
        let path = try HardModel(name: "ordinary").checkpoint().write(to: folder)
        for text in [nil, CalibrationText.builtIn] {
            let converter = try Converter(CheckpointModel(path: path), type: .q8, calibration: text, threads: 1)
            let report = try converter.write(to: folder.at("m.phi"), overwrite: true)
            #expect(report.addedChannels == 0)
            #expect(report.kinds.allSatisfy { $0.activations?.before == $0.activations?.after })
        }
    }

    /// Weights on an 8-bit grid stay on it, although their columns' sizes and inputs' would gain much by scales for other weights.
    @Test func weightsOnTheGridStayAsTheyAre() throws {
        let folder = try TemporaryFolder()
        var checkpoint = HardModel(name: "ordinary").checkpoint()
        let wide = stride(from: 0, to: 256, by: 8)
        checkpoint.edit("model.final_layernorm.weight") { floats in for k in wide { floats[k] /= 8 } }
        checkpoint.edit("model.final_layernorm.bias") { floats in for k in wide { floats[k] /= 8 } }
        checkpoint.edit("lm_head.weight") { floats in
            for row in stride(from: 0, to: floats.count, by: 256) {
                for k in wide { floats[row + k] *= 4 }
                let largest = floats[row..<row + 256].reduce(0) { max($0, abs($1)) }
                for k in row..<row + 256 { floats[k] = (floats[k] / largest * 127).rounded() / 1024 }
            }
        }
        let converter = try Converter(CheckpointModel(path: checkpoint.write(to: folder)), type: .q8, threads: 1)
        let head = try #require(converter.write(to: folder.at("m.phi")).kinds.last)
        #expect(head.label == "head" && head.error.relative < 1e-6)
    }

    /// Outliers of the MLP do not hide those of values.
    @Test func valuesAreScaledBesideLargeChannels() throws {
        let folder = try TemporaryFolder()
        var checkpoint = HardModel(name: "mlp-tokens-4").checkpoint()
        for block in 0..<2 {
            let attention = "model.layers.\(block).self_attn."
            checkpoint.edit(attention + "v_proj.weight") { floats in
                for k in 5 * 256..<6 * 256 { floats[k] *= 1024 }
            }
            checkpoint.edit(attention + "dense.weight") { floats in
                for k in stride(from: 5, to: floats.count, by: 256) { floats[k] /= 1024 }
            }
        }
        let converter = try Converter(CheckpointModel(path: checkpoint.write(to: folder)), type: .q8, threads: 1)
        let report = try converter.write(to: folder.at("m.phi"))
        let ratio = try #require(report.kinds.first { $0.label == "dense, fc2" }?.activations)
        #expect(ratio.before > 1000 && ratio.after < 20)
    }

    /// A file of floats has the checkpoint's own parameters.
    @Test func f32StaysAsItIs() throws {
        let folder = try TemporaryFolder()
        let path = try HardModel(name: "value-tokens-4").checkpoint().write(to: folder)
        let checkpoint = try CheckpointModel(path: path)
        for type in [WeightType.f32, .f16] {
            _ = try Converter(checkpoint, type: type, threads: 1).write(to: folder.at("\(type).phi"))
            let model = try LanguageModel(contentsOf: folder.at("\(type).phi"))
            let norm = try #require(model.file.section("block.1.norm.weight"))
            let expected = try #require(
                HardModel(name: "value-tokens-4").checkpoint().tensors.first {
                    $0.name == "model.layers.1.input_layernorm.weight"
                })
            #expect(model.file.bytes(of: norm).elementsEqual(expected.tensor.floats.withUnsafeBytes { Array($0) }))
        }
    }
}
