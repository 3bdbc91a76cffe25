import Foundation
import PhiTestSupport

/// The models of `Tools/golden/hard_models.py`, which says what they are.
struct HardModel {
    let name: String

    /// KL divergence and share of equal top tokens of rounding in blocks of 32.
    struct Golden: Decodable { let kl, top: Double }

    static func goldens() throws -> [String: Golden] {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Goldens/hard-models.json")
        return try JSONDecoder().decode([String: Golden].self, from: Data(contentsOf: file))
    }

    private var count: Int { Int(name.split(separator: "-").last ?? "") ?? 0 }
    private static let large: Float = 1024

    func checkpoint() -> TinyCheckpoint {
        let shapes = [64: 4, 128: 2, 176: 11, 320: 5, 512: 8]
        let (hidden, heads) = name.hasPrefix("narrow") ? (count, shapes[count] ?? 1) : (256, 4)
        var checkpoint = TinyCheckpoint(hidden: hidden, intermediate: 4 * hidden, heads: heads, context: 512)
        checkpoint.tensors =
            TinyPhi(
                hidden: hidden, intermediate: 4 * hidden, heads: heads, rows: 320,
                exponents: .init(linear: -3, head: -3, embedding: 0, bias: -6, norm: -3)
            ).tensors
        for block in 0..<2 { change(&checkpoint, "model.layers.\(block).", block, hidden) }
        return checkpoint
    }

    private func change(_ checkpoint: inout TinyCheckpoint, _ prefix: String, _ block: Int, _ hidden: Int) {
        func scale(_ name: String, rows: [Int] = [], columns: [Int] = [], width: Int, by factor: Float) {
            checkpoint.edit(name) { floats in
                for row in rows { for k in row * width..<(row + 1) * width { floats[k] *= factor } }
                for column in columns {
                    for k in stride(from: column, to: floats.count, by: width) { floats[k] *= factor }
                }
            }
        }
        func set(_ name: String, _ places: [Int], to value: Float) {
            checkpoint.edit(name) { floats in for place in places { floats[place] = value } }
        }
        let isConstant = name.contains("constant"), isRare = name.contains("few"), attention = prefix + "self_attn.",
            large = Self.large
        if name.hasPrefix("mlp") {
            let channels = Array(stride(from: 5, to: 5 + 61 * count, by: 61))
            scale(prefix + "mlp.fc1.weight", rows: channels, width: hidden, by: isConstant ? 0 : large)
            if isConstant {
                set(prefix + "mlp.fc1.bias", channels, to: large)
            } else {
                scale(prefix + "mlp.fc1.bias", rows: channels, width: 1, by: large)
                if isRare {
                    checkpoint.edit(prefix + "mlp.fc1.bias") { floats in
                        for channel in channels { floats[channel] -= 2.5 * large }
                    }
                }
            }
            scale(prefix + "mlp.fc2.weight", columns: channels, width: 4 * hidden, by: 1 / large)
        } else if name.hasPrefix("residual") {
            let dimensions = Array(stride(from: 7, to: 7 + 15 * count, by: 15))
            if block == 0, isConstant {
                set(prefix + "mlp.fc2.bias", dimensions, to: large)
            } else if block == 0 {
                scale(prefix + "mlp.fc2.weight", rows: dimensions, width: 4 * hidden, by: large)
            }
            let norm = block == 0 ? "model.final_layernorm.weight" : prefix + "input_layernorm.weight"
            scale(norm, columns: [0], width: 1, by: 64)
            scale(norm, rows: dimensions, width: 1, by: 1 / large)
        } else if name.hasPrefix("value") {
            let rows = (0..<4).flatMap { head in (0..<count).map { head * 64 + 3 * $0 } }
            if isConstant {
                set(attention + "v_proj.bias", rows, to: large)
            } else {
                scale(attention + "v_proj.weight", rows: rows, width: hidden, by: large)
            }
            scale(attention + "dense.weight", columns: rows, width: hidden, by: 1 / large)
        } else if name.hasPrefix("key") {
            set(attention + "k_proj.bias", (0..<4).flatMap { head in (0..<count).map { head * 64 + 63 - $0 } }, to: 256)
        } else if name.hasPrefix("narrow") {
            for module in ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.fc1"] {
                scale(
                    prefix + module + ".weight", columns: Array(stride(from: 0, to: hidden, by: 8)), width: hidden,
                    by: 4)
            }
        }
    }
}

/// The mean KL divergence of `rows` from `right`, and the share of equal top tokens.
func divergence(_ right: [[Float]], _ rows: [[Float]]) -> (kl: Double, top: Double) {
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
