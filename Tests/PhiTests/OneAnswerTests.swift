import Phi
import PhiFormat
import PhiTokenizer
import PhiTestSupport
import Testing

/// A token's logits have the same bits whatever the threads, the batches and the instruction set.
@Suite(.serialized)
struct OneAnswerTests {
    static let shapes = [
        TinyPhi(name: "grouped-query", hidden: 256, intermediate: 300, layers: 2, heads: 4, kvHeads: 2, context: 512),
        TinyPhi(name: "head-size-80", hidden: 160, intermediate: 330, heads: 2, rotaryFactor: 0.4, context: 512),
        TinyPhi(
            name: "width-40", hidden: 40, intermediate: 72, heads: 5, context: 512,
            exponents: .init(linear: -2, head: -1)),
    ]
    static let count = 395

    /// Bits of the logits after every token, when `ids` are appended in pieces of these lengths, in turn.
    private func logits(
        _ model: LanguageModel, _ ids: [TokenID], threads: Int, pieces: [Int]
    ) throws -> [UInt32] {
        let session = try Session(model, threads: threads)
        var bits: [UInt32] = []
        bits.reserveCapacity(ids.count * model.config.vocabulary)
        var rest = ids[...]
        var number = 0
        while !rest.isEmpty {
            let piece = rest.prefix(pieces[number % pieces.count])
            number += 1
            rest = rest.dropFirst(piece.count)
            try session.append(piece) { _, logits in bits.append(contentsOf: logits.lazy.map(\.bitPattern)) }
            // What is left behind is the last row again.
            let isSame = session.withLogits { $0.map(\.bitPattern) == Array(bits.suffix($0.count)) }
            #expect(isSame == true)
        }
        return bits
    }

    private func oneByOne(_ model: LanguageModel, _ ids: [TokenID]) throws -> [UInt32] {
        let session = try Session(model, threads: 1)
        var bits: [UInt32] = []
        for id in ids {
            try session.append(id)
            _ = session.withLogits { bits.append(contentsOf: $0.lazy.map(\.bitPattern)) }
        }
        return bits
    }

    @Test(arguments: shapes, [TensorEncoding.q3, .q4, .q8, .f16, .f32])
    func bitsDoNotDependOnCutsOrThreads(_ phi: TinyPhi, _ encoding: TensorEncoding) throws {
        let model = try phi.model(encoding)
        let ids = Seeded.ids(Self.count, vocabulary: model.config.vocabulary)
        let truth = try oneByOne(model, ids)
        var generator = SeededRandom(seed: 7)
        let random = (0..<40).map { _ in Int.random(in: 1...30, using: &generator) }
        for pieces in [[Self.count], [1], [2], [7], [16], [255], [256], [257], random] {
            #expect(try logits(model, ids, threads: 1, pieces: pieces) == truth, "pieces of \(pieces)")
        }
        for threads in [2, 3] {
            #expect(try logits(model, ids, threads: threads, pieces: [Self.count]) == truth, "\(threads) threads")
        }
        #expect(try logits(model, Array(ids.prefix(20)), threads: 2, pieces: [1])[...] == truth.prefix(20 * 290))
    }

    @Test(arguments: shapes, [TensorEncoding.q3, .q4, .q8, .f16, .f32])
    func bitsDoNotDependOnInstructionSet(_ phi: TinyPhi, _ encoding: TensorEncoding) throws {
        #expect(Kernels.available.last?.name == "reference")
        var truth: [UInt32]?
        for kernels in Kernels.available {
            let model = try phi.model(encoding, kernels: kernels)
            #expect(model.kernels.name == kernels.name)
            let ids = Seeded.ids(200, vocabulary: model.config.vocabulary)
            let bits = try logits(model, ids, threads: 1, pieces: [197, 1, 2])
            #expect(bits == truth ?? bits, "\(kernels.name)")
            truth = bits
        }
    }
}
