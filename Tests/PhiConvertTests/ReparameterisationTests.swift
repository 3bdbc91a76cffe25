import Foundation
import Phi
import PhiCheckpoint
import PhiConvert
import PhiTestSupport
import Testing

/// Conversions of models with activations many times larger than others.
@Suite struct ReparameterisationTests {
    private static let ids = Seeded.ids(400, vocabulary: 300)
    /// One channel whose size differs from token to token takes a block of 256 from the others, and of 16 no more than of one:
    /// no exact change of the same shape prevents that.
    private static let worse: [String: Double] = ["mlp-tokens-1": 10.0, "mlp-tokens-4": 6.0]
    private static let names = [
        "ordinary", "mlp-constant-1", "mlp-constant-4", "mlp-constant-16", "mlp-tokens-1", "mlp-tokens-4",
        "mlp-tokens-16",
        "residual-constant-1", "residual-constant-4", "residual-constant-16", "residual-tokens-1", "residual-tokens-4",
        "residual-tokens-16", "value-constant-1", "value-constant-4", "value-constant-16", "value-tokens-1",
        "value-tokens-4", "value-tokens-16", "key-constant-1", "key-constant-4", "key-constant-16", "narrow-64",
        "narrow-128", "narrow-176", "narrow-320", "narrow-512",
    ]

    private func logits(_ model: LanguageModel) throws -> [[Float]] {
        var rows: [[Float]] = []
        try Session(model, threads: 1).append(Self.ids) { _, logits in rows.append(Array(logits)) }
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

    @Test(arguments: names) func q8LosesHardlyMoreThanBlocksOf32(_ name: String) throws {
        let golden = try #require(HardModel.goldens()[name])
        let folder = try TemporaryFolder()
        let path = try HardModel(name: name).checkpoint().write(to: folder)
        let checkpoint = try CheckpointModel(path: path)
        let right = try convert(checkpoint, .f32, nil, in: folder)
        // What the residual stream carries is not seen in the weights; and drowned channels are partly made good by calibration.
        let isCalibrated = name.hasPrefix("residual") || name == "mlp-tokens-16"
        let texts: [CalibrationText?] = isCalibrated ? [.builtIn] : name.hasSuffix("-4") ? [nil, .builtIn] : [nil]
        for text in texts {
            let (kl, top) = try divergence(right, convert(checkpoint, .q8, text, in: folder))
            print(
                "\(name) \(text == nil ? "none" : "builtin"): KL \(kl), \(kl / golden.kl) of blocks of 32, top \(top)")
            #expect(kl <= golden.kl * (Self.worse[name] ?? 1.5))
            // The share's own standard error over 400 tokens is up to 0.025.
            #expect(Self.worse[name] != nil || top >= golden.top - 0.03)
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
