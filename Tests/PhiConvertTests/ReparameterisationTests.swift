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

    /// The mean KL divergence of `rows` from `right`, and the share of equal top tokens.
    private func divergence(_ right: [[Float]], _ rows: [[Float]]) -> (kl: Double, top: Double) {
        func logProbabilities(_ row: [Float]) -> [Double] {
            let largest = Double(row.max() ?? 0)
            let sum = row.reduce(0) { $0 + exp(Double($1) - largest) }
            return row.map { Double($0) - largest - log(sum) }
        }
        var (kl, same) = (0.0, 0.0)
        for (p, q) in zip(right, rows) {
            for (p, q) in zip(logProbabilities(p), logProbabilities(q)) { kl += exp(p) * (p - q) }
            same += p.firstIndex(of: p.max() ?? 0) == q.firstIndex(of: q.max() ?? 0) ? 1 : 0
        }
        return (kl / Double(rows.count), same / Double(rows.count))
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
