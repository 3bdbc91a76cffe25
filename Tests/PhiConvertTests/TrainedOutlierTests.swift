import Foundation
import Phi
import PhiCheckpoint
import PhiConvert
import PhiFormat
import PhiTestSupport
import Testing

/// Conversions of the built-in model, which is trained, after outliers were put into it as `Tools/golden/put_outliers.py` does, by changes
/// that leave its function as it is.
@Suite struct TrainedOutlierTests {
    /// The model as a GGUF file of floats.
    private func plain(in folder: TemporaryFolder) throws -> (gguf: TestGGUF, config: ModelConfig) {
        let model = try LanguageModel(contentsOf: repositoryFile("Sources/CPhiModel/small.phi"))
        try GGUFExporter(model, type: .f32).write(to: FilePath(folder.at("plain.gguf")))
        return (TestGGUF(try readFile(folder.at("plain.gguf"))), model.config)
    }

    /// Puts outliers of about 1000 into a model, by powers of two: norms' outputs, values, constant keys, and channels of the MLP, of
    /// which one is constant and two cancel each other for every token.
    private func putOutliers(into gguf: inout TestGGUF, _ config: ModelConfig) throws {
        let large: Float = 1024, hidden = config.hiddenSize, channels = config.intermediateSize
        func edit(_ name: String, _ change: (inout [Float]) -> Void) {
            gguf.edit(name) { tensor in
                var floats = tensor.data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
                change(&floats)
                tensor.data = floats.withUnsafeBytes { Array($0) }
                if tensor.dimensions.count == 1 {
                    tensor.dimensions = [UInt64(floats.count)]
                } else if name.hasSuffix("ffn_up.weight") {
                    tensor.dimensions = [UInt64(hidden), UInt64(floats.count / hidden)]
                } else if name.hasSuffix("ffn_down.weight") {
                    tensor.dimensions = [UInt64(floats.count / hidden), UInt64(hidden)]
                }
            }
        }
        for block in 0..<config.layers {
            let name = "blk.\(block)."
            for kind in ["weight", "bias"] {
                edit(name + "attn_norm.\(kind)") { $0[11] *= large }
                edit(name + "attn_v.\(kind)") { floats in
                    let width = floats.count / hidden
                    for row in [5, 37, 101] { for k in row * width..<(row + 1) * width { floats[k] *= large } }
                }
            }
            for matrix in ["attn_q", "attn_k", "attn_v", "ffn_up"] {
                edit(name + matrix + ".weight") { floats in
                    for k in stride(from: 11, to: floats.count, by: hidden) { floats[k] /= large }
                }
            }
            edit(name + "attn_output.weight") { floats in
                for row in stride(from: 0, to: floats.count, by: hidden) {
                    for column in [5, 37, 101] { floats[row + column] /= large }
                }
            }
            edit(name + "attn_k.bias") { $0[31] += 256 }
            edit(name + "ffn_up.weight") { floats in
                let row = floats[3 * hidden..<4 * hidden].map { $0 * large }
                floats += row + row + [Float](repeating: 0, count: hidden)
            }
            edit(name + "ffn_up.bias") { $0 += [$0[3] * large, $0[3] * large, large] }
            var column: [Float] = []
            edit(name + "ffn_down.weight") { floats in
                column = stride(from: 3, to: floats.count, by: channels).map { floats[$0] }
                floats = (0..<hidden).flatMap { row in
                    let added = column[row] / large
                    return floats[row * channels..<(row + 1) * channels] + [added, -added, added]
                }
            }
            edit(name + "ffn_down.bias") { $0 = zip($0, column).map { $0 - $1 } }
        }
        gguf["phi2.feed_forward_length"] = TestGGUF.integer(UInt32(channels + 3))
    }

    private func logits(
        _ path: String, _ type: WeightType, _ text: CalibrationText?, in folder: TemporaryFolder
    ) throws -> [[Float]] {
        let file = folder.at("\(type).phi")
        _ = try Converter(CheckpointModel(path: path), type: type, calibration: text, threads: 1)
            .write(to: file, overwrite: true)
        let model = try LanguageModel(contentsOf: file)
        let problems = repositoryFile("Sources/CPhiProblems/understanding.jsonl")
        let ids = model.tokenizer.encode(try String(contentsOfFile: problems, encoding: .utf8)).prefix(4000)
        var rows: [[Float]] = []
        for first in stride(from: 0, to: ids.count, by: 500) {
            let part = Array(ids[first..<min(first + 500, ids.count)])
            try Session(model, threads: 1).append(part) { rows.append(Array($1)) }
        }
        return rows
    }

    /// Rounding to 8 bits loses as much as without outliers; to 4 bits more, as other columns share scales.
    @Test(arguments: [WeightType.q4, .q8]) func lossIsThatOfTheModelWithoutThem(_ type: WeightType) throws {
        let folder = try TemporaryFolder()
        var (gguf, config) = try plain(in: folder)
        try putOutliers(into: &gguf, config)
        let hard = try folder.write("hard.gguf", gguf.bytes), plain = folder.at("plain.gguf")
        let right = try logits(plain, .f32, nil, in: folder)
        #expect(try divergence(right, logits(hard, .f32, nil, in: folder)).kl < 1e-6)
        for text in [nil, CalibrationText.builtIn] {
            let expected = try divergence(right, logits(plain, type, text, in: folder))
            let found = try divergence(right, logits(hard, type, text, in: folder))
            #expect(found.kl < expected.kl * (type == .q8 ? 1.1 : 1.5))
            #expect(found.top > expected.top - (type == .q8 ? 0.005 : 0.02))
        }
    }
}
