import CPhiKernels
import Foundation
import Phi
import PhiFormat
import PhiTokenizer
import Testing

/// The built-in model, in q8, against Hugging Face's float32 log-probabilities of the checkpoint that it was
/// converted from (`Tools/golden/small_model.py`).
struct SmallModelTests {
    private static let file = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Sources/CPhiModel/small.phi").standardized.path(percentEncoded: false)
    private static let golden = Goldens.folder.appending(path: "small-model")

    @Test func isSound() throws {
        let model = try LanguageModel(contentsOf: Self.file)
        try model.file.verify()
        try model.verifyWeights()
        try model.verifyTests()
        #expect(model.file.mapping.count <= 12 << 20)
        #expect((1_000_000...10_000_000).contains(model.config.parameters))
    }

    @Test func agreesWithTheUnquantisedModel() throws {
        let model = try LanguageModel(contentsOf: Self.file)
        let ids = try JSONDecoder().decode(
            [TokenID].self, from: Data(contentsOf: Self.golden.appending(path: "ids.json")))
        let truth = try Self.halves(Self.golden.appending(path: "logits.npy"))
        let vocabulary = model.config.vocabulary
        try #require(truth.count == ids.count * vocabulary && ids.count >= 200)

        var divergence = 0.0
        var agreements = 0
        let session = try Session(model)
        try session.append(ids) { place, logits in
            let expected = truth[place * vocabulary..<(place + 1) * vocabulary].map(Double.init)
            let most = Double(logits.max() ?? 0)
            let total = most + log(logits.reduce(0) { $0 + exp(Double($1) - most) })
            for (id, probability) in expected.enumerated() {
                divergence += exp(probability) * (probability - (Double(logits[id]) - total))
            }
            let best = { (values: [Double]) in values.indices.max { values[$0] < values[$1] } }
            if best(expected) == best(logits.map(Double.init)) { agreements += 1 }
        }
        divergence /= Double(ids.count)
        let agreement = Double(agreements) / Double(ids.count)
        print("small model q8: mean KL \(divergence), top token agrees in \(agreement * 100)% of \(ids.count)")
        #expect(divergence <= 1e-3)
        #expect(agreement >= 0.99)
    }

    /// The elements of a float16 array in NumPy's format 1.0.
    private static func halves(_ file: URL) throws -> [Float] {
        let bytes = [UInt8](try Data(contentsOf: file))
        let start = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
        return stride(from: start, to: bytes.count, by: 2).map { at in
            phi_half_to_float(UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8)
        }
    }
}
