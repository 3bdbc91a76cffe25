import Phi
import PhiCheckpoint
import PhiFormat
import PhiTestSupport
import Testing

/// The forward pass against Hugging Face's float32 logits.
struct GoldenTests {
    /// The largest logit difference, in standard deviations of the logits.
    private func difference(_ golden: Golden, _ encoding: TensorEncoding, threads: Int = 1) throws -> Float {
        let session = try Session(golden.phi.model(encoding), threads: threads)
        var worst: Float = 0
        try session.append(golden.ids) { place, logits in
            for (id, logit) in logits.enumerated() {
                let distance = abs(logit - golden.logits[place * golden.vocabulary + id])
                worst = distance <= worst ? worst : distance  // NaN stays
            }
        }
        return worst / golden.deviation
    }

    @Test(arguments: Goldens.names)
    func weightsAreThoseOfTheGolden(_ name: String) throws {
        let golden = try Goldens.load(name)
        let weights = golden.phi.tensors.flatMap(\.tensor.floats)
        #expect(weights.withUnsafeBytes { SHA256Digest($0) }.description == golden.weightsDigest)
        #expect(golden.logits.count == golden.ids.count * golden.vocabulary)
    }

    @Test func vocabularyIsThatOfTheGoldens() throws {
        let folder = try TemporaryFolder()
        let file = Goldens.folder.appending(path: "generated-tokenizer-290.json")
        try folder.write("tokenizer.json", readFile(file.path))
        #expect(try TokenizerFiles(directory: folder.path).vocabulary == TinyTokenizer.vocabulary(tokens: 290))
    }

    /// Both float32 errors are about 2e-6; the smallest mistake to be found, a wrong epsilon, moves the logits by 7e-5.
    @Test(arguments: Goldens.names)
    func f32IsHuggingFaces(_ name: String) throws {
        let golden = try Goldens.load(name)
        let difference = try difference(golden, .f32)
        print("golden \(name) f32: \(difference) standard deviations")
        #expect(difference <= 1e-5)
    }

    /// These shapes have weights of much noise and few dimensions, in which rounding averages out less than in a real model.
    @Test(arguments: Goldens.names, [(TensorEncoding.f16, Float(0.005)), (.q8, 0.14), (.q4, 1.3), (.q3, 2.2)])
    func smallerEncodingsAreNear(_ name: String, _ encoding: (TensorEncoding, bound: Float)) throws {
        let golden = try Goldens.load(name)
        let difference = try difference(golden, encoding.0)
        print("golden \(name) \(encoding.0.name): \(difference) standard deviations")
        #expect(difference <= encoding.bound)
    }
}
