import Foundation
import Phi
import PhiCheckpoint
import PhiConvert
import PhiFormat
import PhiTestSupport
import Testing

/// Models with phi's block against transformers; Tools/golden/cousins.py wrote the checkpoints and the logits.
struct CousinTests {
    private struct Golden: Decodable {
        let prompt: [Int32]
        /// After each of the prompt's last tokens, [rows of the head].
        let logits: [[Float]]
    }

    private func convert(_ name: String, _ type: WeightType) throws -> LanguageModel {
        let folder = try TemporaryFolder()
        let checkpoint = try CheckpointModel(path: fixture(name))
        _ = try Converter(checkpoint, type: type, calibration: .builtIn, threads: 1).write(to: folder.at("m.phi"))
        return try LanguageModel(contentsOf: folder.at("m.phi"))
    }

    @Test(arguments: ["codegen", "gptj"]) func logitsAreTransformers(_ name: String) throws {
        let golden = try JSONDecoder().decode(Golden.self, from: Data(readFile(fixture(name + "/logits.json"))))
        let model = try convert(name, .f32)
        let session = try Session(model, threads: 1)
        try session.append(golden.prompt.dropLast(golden.logits.count))
        for (token, expected) in zip(golden.prompt.suffix(golden.logits.count), golden.logits) {
            try session.append([token])
            let logits = try #require(session.withLogits { Array($0) })
            let wanted = expected.prefix(logits.count)
            let mean = wanted.reduce(0, +) / Float(wanted.count)
            let variance = wanted.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(wanted.count)
            let worst = zip(logits, wanted).map { abs($0 - $1) }.max() ?? .infinity
            #expect(worst <= 1e-5 * variance.squareRoot(), "\(worst) of \(variance.squareRoot())")
        }
    }

    /// Calibration reads the same rows in the same order.
    @Test(arguments: ["codegen", "gptj"]) func calibratedConversionsAreCloseToExactOnes(_ name: String) throws {
        func logits(_ type: WeightType) throws -> [Float] {
            let session = try Session(convert(name, type), threads: 1)
            try session.append([70, 71, 3, 9])
            return try #require(session.withLogits { Array($0) })
        }
        let (exact, rounded) = (try logits(.f32), try logits(.q8))
        let error = zip(exact, rounded).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        let power = exact.reduce(0) { $0 + $1 * $1 }
        #expect(error < 1e-3 * power, "\(error / power)")
    }

    @Test func namesMustFitTheConfig() throws {
        let copy = try CheckpointCopy(of: "gptj")
        try copy.replace("\"gptj\"", "\"codegen\"", in: "config.json")
        let message = fault { _ = try CheckpointModel(path: copy.path) }
        #expect(message == "has tensors of gptj names, but model_type 'codegen'")
    }
}
