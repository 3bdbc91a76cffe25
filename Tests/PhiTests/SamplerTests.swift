import Foundation
import Phi
import PhiTokenizer
import PhiTestSupport
import Testing

/// Sampling against a plain computation on whole sorted arrays.
struct SamplerTests {
    private func sample(_ sampler: inout Sampler, _ logits: [Float], history: [TokenID] = []) -> TokenID {
        logits.withUnsafeBufferPointer { sampler.sample($0, history: history) }
    }

    private func greedy(_ logits: [Float], penalty: Double = 1, history: [TokenID] = []) throws -> TokenID {
        var sampler = Sampler(try SamplingOptions(repeatPenalty: penalty), vocabulary: logits.count)
        return sample(&sampler, logits, history: history)
    }

    /// Probabilities as in Hugging Face's `generation/logits_process.py`, ties to the lower id.
    private func probabilities(_ logits: [Float], _ options: SamplingOptions, history: [TokenID] = []) -> [Double] {
        var scores = logits.map(Double.init)
        for token in Set(history) {
            let score = Float(scores[Int(token)])
            let penalty = Float(options.repeatPenalty)
            scores[Int(token)] = Double(score < 0 ? score * penalty : score / penalty)
        }
        scores = scores.map { $0 / options.temperature }
        func softmax() -> [Double] {
            let top = scores.max() ?? 0
            let terms = scores.map { Foundation.exp($0 - top) }
            return terms.map { $0 / terms.reduce(0, +) }
        }
        func order() -> [Int] { scores.indices.sorted { (scores[$0], $1) > (scores[$1], $0) } }
        if options.topK > 0 { for id in order().dropFirst(options.topK) { scores[id] = -.infinity } }
        if options.topP < 1 {
            let p = softmax()
            var sum = 0.0
            for (place, id) in order().enumerated() {
                if place > 0, sum >= options.topP { scores[id] = -.infinity }
                sum += p[id]
            }
        }
        if options.minP > 0 {
            let p = softmax()
            let top = p.max() ?? 0
            for id in p.indices where p[id] < options.minP * top { scores[id] = -.infinity }
        }
        return softmax()
    }

    static let cases: [SamplingOptions] = {
        var cases: [SamplingOptions] = []
        for temperature in [0.3, 1, 2.5] {
            for topK in [0, 1, 3, 20, 500] {
                for topP in [0, 0.1, 0.6, 0.95, 1] {
                    for minP in [0, 0.05, 1] {
                        if let options = try? SamplingOptions(
                            temperature: temperature, topK: topK, topP: topP, minP: minP,
                            repeatPenalty: topK == 3 ? 1.3 : 1, seed: UInt64(topK))
                        {
                            cases.append(options)
                        }
                    }
                }
            }
        }
        return cases
    }()

    @Test(arguments: cases)
    func drawsAreDistributedAsTheyShould(_ options: SamplingOptions) throws {
        var generator = SeededRandom(seed: 3)
        for count in [1, 2, 7, 16, 37, 150] {
            let logits = (0..<count).map { _ in Float.random(in: -4...4, using: &generator) }
            let history: [TokenID] = [0, TokenID(count - 1), 0]
            let expected = probabilities(logits, options, history: history)
            var sampler = Sampler(options, vocabulary: count)
            var counts = [Int](repeating: 0, count: count)
            let draws = 3000
            for _ in 0..<draws { counts[Int(sample(&sampler, logits, history: history))] += 1 }
            for id in 0..<count {
                let mean = expected[id] * Double(draws)
                if expected[id] == 0 { #expect(counts[id] == 0, "token \(id) of \(count) is left out") }
                #expect(abs(Double(counts[id]) - mean) <= 6 * (mean * (1 - expected[id])).squareRoot() + 1)
            }
        }
    }

    @Test
    func oneSeedGivesTheSameTokens() throws {
        let logits = (0..<500).map { Float($0 * 7919 % 1000) / 250 }
        func draws(_ seed: UInt64) throws -> [TokenID] {
            var sampler = Sampler(try SamplingOptions(temperature: 1, topP: 0.9, seed: seed), vocabulary: 500)
            return (0..<50).map { _ in sample(&sampler, logits) }
        }
        #expect(try draws(1) == draws(1))
        #expect(try draws(1) != draws(2))
        // Written down so that another machine, or a later version, is held to them.
        var sampler = Sampler(try SamplingOptions(temperature: 0.8, topK: 40, seed: 42), vocabulary: 500)
        #expect((0..<8).map { _ in sample(&sampler, logits) } == Self.written)
    }
    private static let written: [TokenID] = [297, 494, 420, 25, 284, 470, 457, 223]

    @Test
    func greedyTakesTheLowestOfTheLikeliest() throws {
        for count in [1, 2, 15, 16, 17, 31, 33, 290, 1000] {
            for best in Set([0, 1, count / 2, count - 1]) where best < count {
                var logits = [Float](repeating: -3, count: count)
                logits[best] = 2
                logits[count - 1] = 2
                #expect(try greedy(logits) == TokenID(best))
            }
        }
        #expect(try greedy([Float](repeating: 0, count: 40)) == 0)
        #expect(try greedy([-.infinity, -.infinity]) == 0)
        #expect(try greedy([-0.0, 0.0]) == 0)
    }

    @Test(arguments: [0, 1.0])
    func whatIsNotANumberIsNotTaken(_ temperature: Double) throws {
        let options = try SamplingOptions(temperature: temperature)
        for count in [3, 17, 50] {
            for number in [0, 1, count - 1] {
                var logits = [Float](repeating: .nan, count: count)
                logits[number] = -1e30
                var sampler = Sampler(options, vocabulary: count)
                #expect(sample(&sampler, logits) == TokenID(number))
                logits = [Float](repeating: 1, count: count)
                logits[number] = .nan
                #expect((0..<100).allSatisfy { _ in sample(&sampler, logits) != TokenID(number) })
                logits[number] = .infinity
                #expect(sample(&sampler, logits) == TokenID(number))
                logits = [Float](repeating: .nan, count: count)
                #expect(sample(&sampler, logits) == 0)
            }
        }
    }

    @Test
    func tiesGoToTheLowerID() throws {
        let logits = [Float](repeating: 1, count: 64)
        var sampler = Sampler(try SamplingOptions(temperature: 1, topK: 5), vocabulary: 64)
        #expect(Set((0..<300).map { _ in sample(&sampler, logits) }) == [0, 1, 2, 3, 4])
        sampler = Sampler(try SamplingOptions(temperature: 1, topP: 0.125), vocabulary: 64)
        #expect(Set((0..<300).map { _ in sample(&sampler, logits) }) == Set(0..<8))
        sampler = Sampler(try SamplingOptions(temperature: 1, minP: 1), vocabulary: 64)
        #expect(Set((0..<2000).map { _ in sample(&sampler, logits) }) == Set(0..<64))
    }

    /// CTRL's formula, once for each token of the sequence, however often it occurs.
    @Test
    func repeatPenaltyIsHuggingFaces() throws {
        #expect(try greedy([3, 2.9, -1], penalty: 1.1, history: [0]) == 1)
        #expect(try greedy([3, 2.9, -1], penalty: 1.03, history: [0, 0, 0]) == 0)
        #expect(try greedy([-1, -1.05, -9], penalty: 1.1, history: [0]) == 1)
        #expect(try greedy([-1, -1.05, -9], penalty: 1.1, history: [0, 1]) == 0)
        #expect(try greedy([1, 0.9], penalty: 0.5, history: [1]) == 1)
        #expect(try greedy([1, 0.9], penalty: 2, history: [-1, 2, 5000]) == 0)
    }

    /// OpenAI's formula, for the tokens chosen so far and not for the prompt's.
    @Test
    func countPenaltiesAreOpenAIs() throws {
        let logits = (0..<100).map { Float(sin(Double($0 * 37))) * 4 }
        for (presence, frequency) in [(0.5, 0.0), (0, 0.25), (1.5, 0.3), (-2, -0.1), (2, 2)] {
            var sampler = Sampler(
                try SamplingOptions(presencePenalty: presence, frequencyPenalty: frequency), vocabulary: 100)
            var history: [TokenID] = [3, 3, 7, 99, 3]
            for _ in 0..<60 {
                var expected = logits
                for token in Set(history.dropFirst(5)) {
                    let count = history.dropFirst(5).count { $0 == token }
                    expected[Int(token)] -= Float(frequency) * Float(count)
                    expected[Int(token)] -= Float(presence)
                }
                let token = logits.withUnsafeBufferPointer { sampler.sample($0, history: history) }
                #expect(Int(token) == expected.indices.max { (expected[$0], $1) < (expected[$1], $0) })
                history.append(token)
            }
        }
    }

    @Test
    func extremesStayInRange() throws {
        var generator = SeededRandom(seed: 9)
        for temperature in [1e-300, 1e-6, 1e6, 1e300] {
            for (topK, topP, minP) in [(0, 1.0, 0.0), (7, 1, 0), (0, 0.5, 0), (0, 1, 0.2), (9, 0.999999, 0.001)] {
                let options = try SamplingOptions(temperature: temperature, topK: topK, topP: topP, minP: minP, seed: 5)
                var sampler = Sampler(options, vocabulary: 290)
                for _ in 0..<50 {
                    let logits = (0..<290).map { _ in Float.random(in: -1e38...1e38, using: &generator) }
                    #expect((0..<290).contains(Int(sample(&sampler, logits))))
                }
            }
        }
        var sampler = Sampler(try SamplingOptions(temperature: 1e-300), vocabulary: 3)
        #expect((0..<50).allSatisfy { _ in sample(&sampler, [1, 1.000001, 0.5]) == 1 })
    }

    @Test
    func optionsOutOfRangeAreRefused() throws {
        for value in [-1, -0.001, .nan, .infinity, -.infinity] {
            #expect(throws: OptionError.self) { try SamplingOptions(temperature: value) }
            #expect(throws: OptionError.self) { try SamplingOptions(topP: value) }
            #expect(throws: OptionError.self) { try SamplingOptions(minP: value) }
            #expect(throws: OptionError.self) { try SamplingOptions(repeatPenalty: value) }
        }
        #expect(throws: OptionError.self) { try SamplingOptions(topP: 1.001) }
        #expect(throws: OptionError.self) { try SamplingOptions(minP: 2) }
        for penalty in [0, 1e-50, 1e50] {  // those between them are 0 and infinity as a Float
            #expect(throws: OptionError.self) { try SamplingOptions(repeatPenalty: penalty) }
            #expect(throws: OptionError.self) { try RepetitionPenalty(penalty, vocabulary: 290) }
        }
        for value in [-2.01, 2.01, .nan] {
            #expect(throws: OptionError.self) { try SamplingOptions(presencePenalty: value) }
            #expect(throws: OptionError.self) { try SamplingOptions(frequencyPenalty: value) }
        }
        #expect(throws: OptionError(fault: "top-k must be 0 or more, got -1")) { try SamplingOptions(topK: -1) }
        #expect(throws: OptionError(fault: "the number of tokens must be 0 or more, got -1")) {
            try GenerationOptions(maximumTokens: -1)
        }
        #expect(throws: OptionError(fault: "the number of least tokens must be 0 or more, got -1")) {
            try GenerationOptions(minimumTokens: -1)
        }
        #expect(throws: OptionError(fault: "a stop string is empty")) { try GenerationOptions(stop: ["a", ""]) }
        #expect(try SamplingOptions() == .greedy)
        #expect(try GenerationOptions() as GenerationOptions == .greedy)
    }

    @Test
    func theTableReadsAndSetsEveryParameter() throws {
        var options = SamplingOptions.greedy
        #expect(
            options.description == "temperature 0.0, top-k 0, top-p 1.0, min-p 0.0, repeat-penalty 1.0, "
                + "presence-penalty 0.0, frequency-penalty 0.0")
        for (parameter, value) in zip(SamplingParameter.all, [0.5, 40, 0.25, 0.125, 1.5, -1.25, 2]) {
            #expect(parameter.value(in: options) == parameter.standard)
            try parameter.set(value, in: &options)
            #expect(parameter.value(in: options) == value)
            #expect(throws: OptionError.self) { try parameter.set(-2.5, in: &options) }
            #expect(throws: OptionError.self) { try parameter.set(.nan, in: &options) }
            #expect(throws: OptionError.self) { try parameter.set(.infinity, in: &options) }
            if parameter.isWhole { #expect(throws: OptionError.self) { try parameter.set(1.5, in: &options) } }
        }
        let expected = try SamplingOptions(
            temperature: 0.5, topK: 40, topP: 0.25, minP: 0.125, repeatPenalty: 1.5, presencePenalty: -1.25,
            frequencyPenalty: 2)
        #expect(options == expected)
        #expect(
            options.seeded(7).description
                == "temperature 0.5, top-k 40, top-p 0.25, min-p 0.125, repeat-penalty 1.5, "
                + "presence-penalty -1.25, frequency-penalty 2.0, seed 7")
    }
}
