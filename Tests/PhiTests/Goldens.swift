import Foundation
import PhiTestSupport
import PhiTokenizer
import PhiTestSupport

/// Logits of Hugging Face's phi for a seeded checkpoint (`Tools/golden/tiny_phis.py`).
struct Golden: Sendable, CustomStringConvertible {
    let phi: TinyPhi
    let ids: [TokenID]
    let logits: [Float]  // [ids][vocabulary]
    let vocabulary: Int
    let deviation: Float
    let weightsDigest: String

    var description: String { phi.name }
}

enum Goldens {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Goldens")

    /// Names of the shapes whose weights are small enough to be made in a test.
    static let names = [
        "three-heads", "head-size-80", "grouped-query", "one-kv-head-full-rotary", "head-size-32", "width-40",
        "three-layers", "eleven-heads",
    ]

    private struct Config: Decodable {
        var hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, vocab_size: Int
        var max_position_embeddings: Int
        var num_key_value_heads: Int?
        var partial_rotary_factor: Double
    }

    private struct Meta: Decodable {
        var base_seed, tokens: Int
        var exponents: TinyPhi.Exponents
        var weights_sha256: String
        var logits_std: Float
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, _ path: String) throws -> Value {
        try JSONDecoder().decode(type, from: Data(contentsOf: folder.appending(path: path)))
    }

    static func load(_ name: String) throws -> Golden {
        let config = try decode(Config.self, "\(name)/config.json")
        let meta = try decode(Meta.self, "\(name)/meta.json")
        let phi = TinyPhi(
            name: name, hidden: config.hidden_size, intermediate: config.intermediate_size,
            layers: config.num_hidden_layers, heads: config.num_attention_heads, kvHeads: config.num_key_value_heads,
            rotaryFactor: config.partial_rotary_factor, rows: config.vocab_size, tokens: meta.tokens,
            context: config.max_position_embeddings, exponents: meta.exponents)
        return Golden(
            phi: phi, ids: try decode([TokenID].self, "\(name)/ids.json"), logits: try npy("\(name)/logits.npy"),
            vocabulary: meta.tokens, deviation: meta.logits_std, weightsDigest: meta.weights_sha256)
    }

    /// The elements of a float32 array in NumPy's format 1.0.
    private static func npy(_ path: String) throws -> [Float] {
        let bytes = [UInt8](try Data(contentsOf: folder.appending(path: path)))
        let start = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
        return stride(from: start, to: bytes.count, by: 4).map { at in
            let word = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) }
            return Float(bitPattern: word)
        }
    }
}
