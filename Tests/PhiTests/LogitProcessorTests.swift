import Phi
import PhiTokenizer
import PhiTestSupport
import Testing

struct LogitProcessorTests {
    private let logits = Seeded.tensor("logits", 290, exponent: 2, isNormWeight: false)

    private func processed(_ processor: some LogitProcessor, history: [TokenID] = []) -> [Float] {
        var values = logits
        var processor = processor
        var span = values.mutableSpan
        processor.process(&span, history: history)
        return values
    }

    private func sample(_ sampler: Sampler, history: [TokenID] = []) -> TokenID {
        var sampler = sampler
        return logits.withUnsafeBufferPointer { sampler.sample($0, history: history) }
    }

    @Test
    func biasesAreAdded() throws {
        let bias = try LogitBias([3: 1.5, 0: -2, 289: -.infinity, 290: 4, -1: 4])
        var expected = logits
        expected[3] += 1.5
        expected[0] -= 2
        expected[289] = -.infinity
        #expect(processed(bias) == expected)
        for bad in [Float.nan, .infinity] { #expect(throws: OptionError.self) { try LogitBias([5: bad]) } }
    }

    /// A bias never ends a completion, also where it forbids all tokens.
    @Test(arguments: [0, 1.0])
    func ifAllAreForbiddenTheFirstIsChosen(_ temperature: Double) throws {
        let none = try LogitBias(Dictionary(uniqueKeysWithValues: (0..<290).map { (TokenID($0), -.infinity) }))
        let options = try SamplingOptions(temperature: temperature, topK: 5, minP: 0.1)
        #expect(sample(Sampler(options, vocabulary: 290, processors: [none])) == 0)
    }

    @Test
    func eachTokenIsPenalisedOnce() throws {
        let history: [TokenID] = [1, 2, 2, 1, 288, 63, 64, 300, -5]
        var expected = logits
        for token in [1, 2, 288, 63, 64] {
            expected[token] = logits[token] < 0 ? logits[token] * 1.3 : logits[token] / 1.3
        }
        var penalty = try RepetitionPenalty(1.3, vocabulary: 290)
        for _ in 0..<2 {  // the second time as the first
            var values = logits
            do {
                var span = values.mutableSpan
                penalty.process(&span, history: history)
            }
            #expect(values == expected)
        }
        for bad in [0, -1, .infinity, Double.nan] {
            #expect(throws: OptionError.self) { try RepetitionPenalty(bad, vocabulary: 290) }
        }
    }

    @Test
    func processorsComeInTheirOrderAndBeforeAllElse() throws {
        let best = try #require(logits.indices.max { logits[$0] < logits[$1] })
        #expect(sample(Sampler(.greedy, vocabulary: 290)) == TokenID(best))
        let forbidden = try LogitBias([TokenID(best): -.infinity])
        let second = logits.indices.filter { $0 != best }.max { logits[$0] < logits[$1] }
        #expect(sample(Sampler(.greedy, vocabulary: 290, processors: [forbidden])) == second.map(TokenID.init))
        let favourite = try LogitBias([77: 100])
        for seed in 0..<20 as Range<UInt64> {
            let options = try SamplingOptions(temperature: 1, topK: 5, seed: seed)
            #expect(sample(Sampler(options, vocabulary: 290, processors: [favourite])) == 77)
        }
        let both: [any LogitProcessor] = [try LogitBias([77: -.infinity]), favourite]
        #expect(sample(Sampler(.greedy, vocabulary: 290, processors: both)) == TokenID(best))
        // The penalty of the options is the processor.
        let history: [TokenID] = [TokenID(best), 5, 6]
        for penalty in [1.7, 30] {
            let byOptions = Sampler(try SamplingOptions(repeatPenalty: penalty), vocabulary: 290)
            let byProcessor = Sampler(
                .greedy, vocabulary: 290, processors: [try RepetitionPenalty(penalty, vocabulary: 290)])
            #expect(sample(byOptions, history: history) == sample(byProcessor, history: history))
        }
    }

    /// A custom sampler chooses every token, given the tokens so far.
    @Test
    func anySamplerCompletes() throws {
        struct Counting: TokenSampler {
            var next: TokenID = 40

            mutating func sample(_ logits: UnsafeBufferPointer<Float>, history: [TokenID]) -> TokenID {
                #expect(logits.count == 290 && history.count == Int(next) - 40 + 2)
                defer { next += 1 }
                return next
            }
        }
        struct Nonsense: TokenSampler {
            func sample(_ logits: UnsafeBufferPointer<Float>, history: [TokenID]) -> TokenID { 290 }
        }
        let session = try Session(TinyPhi().model(.q4), threads: 1)
        let options = try GenerationOptions(maximumTokens: 5)
        #expect(try session.complete([1, 2], options, sampler: Counting()).tokens == [40, 41, 42, 43, 44])
        #expect(throws: SessionError.notAToken(290, vocabulary: 290)) {
            try session.complete([1, 2], options, sampler: Nonsense())
        }
    }
}
