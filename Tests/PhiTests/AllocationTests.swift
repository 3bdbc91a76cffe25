import CAllocationCounter
import Phi
import PhiFormat
import PhiTokenizer
import PhiTestSupport
import Testing

/// After a session and a sampler are made, a token costs no allocation.
@Suite(.enabled(if: allocation_counter_works()))
struct AllocationTests {
    @Test
    func theCounterCounts() {
        let before = allocation_count()
        let array = [Int](unsafeUninitializedCapacity: Int.random(in: 50...100)) { $1 = $0.count }
        #expect(allocation_count() > before)
        #expect(array.count >= 50)
    }

    @Test(arguments: [TensorEncoding.q3, .q4, .q8, .f16, .f32], [1, 2])
    func decodingAllocatesNothing(_ encoding: TensorEncoding, _ threads: Int) throws {
        let session = try Session(TinyPhi().model(encoding), threads: threads)
        let ids = Seeded.ids(120, vocabulary: 290)
        try session.append(ids.prefix(3))
        let before = allocation_count()
        for id in ids.dropFirst(3) { try session.append(id) }
        let sum = session.withLogits { $0.reduce(0, +) }
        let count = allocation_count() - before
        #expect(count == 0)
        #expect(sum?.isFinite == true)
    }

    @Test(arguments: SamplerTests.cases.prefix(60) + [SamplingOptions.greedy])
    func samplingAllocatesNothing(_ options: SamplingOptions) throws {
        var sampler = Sampler(options, vocabulary: 290)
        let logits = Seeded.tensor("logits", 290, exponent: 2, isNormWeight: false)
        let history = Seeded.ids(50, vocabulary: 290)
        let count = logits.withUnsafeBufferPointer { logits in
            let before = allocation_count()
            for _ in 0..<100 { _ = sampler.sample(logits, history: history) }
            return allocation_count() - before
        }
        #expect(count == 0)
    }

    @Test
    func processingAllocatesNothing() throws {
        let options = try SamplingOptions(temperature: 1, topK: 40, repeatPenalty: 1.2, seed: 3)
        var sampler = Sampler(options, vocabulary: 290, processors: [try LogitBias([1: 2, 3: -.infinity])])
        let logits = Seeded.tensor("logits", 290, exponent: 2, isNormWeight: false)
        let history = Seeded.ids(50, vocabulary: 290)
        let count = logits.withUnsafeBufferPointer { logits in
            let before = allocation_count()
            for _ in 0..<100 { _ = sampler.sample(logits, history: history) }
            return allocation_count() - before
        }
        #expect(count == 0)
    }
}
