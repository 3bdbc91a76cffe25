import Phi
import PhiFormat
import PhiTestSupport
import PhiTokenizer
import Synchronization
import Testing

/// Completions with drafts equal those without, bit for bit, whatever is drafted.
struct SpeculationTests {
    private let model: LanguageModel
    private let prompt = Seeded.ids(10, vocabulary: 250)

    init() throws { model = try TinyPhi().model(.q4) }

    private func session(_ speculation: Speculation, context: Int? = nil) throws -> Session {
        try Session(model, context: context, threads: 2, speculation: speculation)
    }

    /// Everything of two completions but their timings.
    private func expectEqual(_ a: Completion, _ b: Completion, _ comment: Comment) {
        #expect(a.tokens == b.tokens, comment)
        #expect(a.text == b.text, comment)
        #expect(a.choices == b.choices, comment)
        #expect(a.stopReason == b.stopReason, comment)
    }

    private static let options: [GenerationOptions] = {
        func make(
            _ count: Int?, _ sampling: SamplingOptions = .greedy, stop: [String] = [], logProbabilities: Int? = 3
        ) throws -> GenerationOptions {
            try GenerationOptions(
                maximumTokens: count, sampling: sampling, stop: stop, logProbabilities: logProbabilities,
                ignoresEndOfText: count == 41)
        }
        let all = try? [
            make(40), make(41, logProbabilities: nil), make(nil), make(Int.max), make(1), make(2), make(3), make(0),
            make(40, SamplingOptions(temperature: 1, seed: 1)), make(40, SamplingOptions(temperature: 1, seed: 2)),
            make(40, SamplingOptions(temperature: 0.7, topK: 20, topP: 0.9, minP: 0.01, repeatPenalty: 1.3, seed: 3)),
            make(40, SamplingOptions(repeatPenalty: 1.2)),
        ]
        return all ?? []
    }()

    @Test(arguments: DraftKind.allCases, 1...7)
    func completionsAreTheSame(_ source: DraftKind, _ length: Int) throws {
        #expect(Self.options.count == 12)
        for options in Self.options {
            let plain = try session(.off)
            let expected = try plain.complete(prompt, options)
            let speculating = try session(source.speculation(length, prompt, expected.tokens))
            let made = try speculating.complete(prompt, options)
            let comment: Comment = "\(source), \(length), \(options)"
            expectEqual(made, expected, comment)
            // The sessions are the same too: tokens, keys and values, and logits.
            #expect(speculating.tokens == plain.tokens, comment)
            #expect(speculating.save() == plain.save(), comment)
            let logits = { (session: Session) in session.withLogits { $0.map(\.bitPattern) } }
            #expect(logits(speculating) == logits(plain), comment)
            let counts = speculating.engine.draftCounts
            switch source {
            case .right where expected.tokens.count > 2:
                #expect(counts.accepted == counts.drafted && counts.drafted > 0)
            case .wrong: #expect(counts.accepted == 0)
            default: #expect(counts.accepted <= counts.drafted)
            }
        }
    }

    /// A stop string, an end of text and a cancellation at every place of a draft.
    @Test(arguments: [4, 7])
    func completionsEndWithinADraft(_ length: Int) throws {
        let sampling = try SamplingOptions(temperature: 1, seed: 5)
        let whole = try session(.off).complete(prompt, GenerationOptions(maximumTokens: 40, sampling: sampling))
        let speculation = DraftKind.right.speculation(length, prompt, whole.tokens)
        for place in 1...16 {
            let stop = String(whole.text.unicodeScalars.dropFirst(place).prefix(2).map(Character.init))
            let options = try GenerationOptions(
                maximumTokens: 40, sampling: sampling, stop: [stop], logProbabilities: 0)
            let (plain, speculating) = (try session(.off), try session(speculation))
            expectEqual(try speculating.complete(prompt, options), try plain.complete(prompt, options), "stop \(place)")
            #expect(speculating.tokens == plain.tokens)

            let recorded = Array(whole.tokens.prefix(place)) + [TokenID(TinyTokenizer.endOfText), 1, 2, 3]
            let ends = try [session(.off), session(DraftKind.right.speculation(length, prompt, recorded))].map {
                session in
                let made = try session.complete(prompt, sampler: Recorded(tokens: recorded, prompt: prompt.count))
                #expect(made.stopReason == .endOfText && made.tokens.count == place)
                return session.tokens
            }
            #expect(ends[0] == ends[1])

            let cancelled = try [session(.off), session(speculation)].map { session in
                var count = 0
                let made = try session.complete(prompt, GenerationOptions(maximumTokens: 40, sampling: sampling)) { _ in
                    count += 1
                    return count < place
                }
                #expect(made.stopReason == .cancelled)
                return (made.tokens, session.tokens)
            }
            #expect(cancelled[0] == cancelled[1])
        }
    }

    @Test(arguments: [1, 4, 7])
    func contextsEndWithinADraft(_ length: Int) throws {
        for context in 10...30 {
            let options = try GenerationOptions(logProbabilities: 1, ignoresEndOfText: true)
            let plain = try session(.off, context: context)
            let expected = try plain.complete(prompt, options)
            #expect(expected.stopReason == .contextFull)
            let long = try session(.off).complete(prompt, GenerationOptions(maximumTokens: 60, ignoresEndOfText: true))
            let speculating = try session(DraftKind.right.speculation(length, prompt, long.tokens), context: context)
            expectEqual(try speculating.complete(prompt, options), expected, "\(context)")
            #expect(speculating.tokens == plain.tokens)
        }
    }

    // MARK: Samplers

    /// Returns recorded tokens.
    private struct Recorded: TokenSampler {
        let tokens: [TokenID]
        let prompt: Int

        func sample(_ logits: UnsafeBufferPointer<Float>, history: [TokenID]) -> TokenID {
            tokens[history.count - prompt]
        }
    }

    /// A sampler, and a logit processor, that note what they are called with.
    private final class Calls: Sendable {
        let noted = Mutex<[(history: [TokenID], logits: [UInt32])]>([])
    }
    private struct Noting: TokenSampler, LogitProcessor {
        let calls: Calls
        var sampler: Sampler?

        mutating func sample(_ logits: UnsafeBufferPointer<Float>, history: [TokenID]) -> TokenID {
            calls.noted.withLock { $0.append((history, logits.map(\.bitPattern))) }
            return sampler?.sample(logits, history: history) ?? 0
        }

        mutating func process(_ logits: inout MutableSpan<Float>, history: [TokenID]) {
            var bits: [UInt32] = []
            for index in logits.indices { bits.append(logits[index].bitPattern) }
            calls.noted.withLock { $0.append((history, bits)) }
        }
    }

    @Test(arguments: DraftKind.allCases)
    func samplersAndProcessorsAreCalledTheSame(_ source: DraftKind) throws {
        let sampling = try SamplingOptions(temperature: 0.9, repeatPenalty: 1.1, seed: 8)
        let options = try GenerationOptions(maximumTokens: 30)
        func calls(_ speculation: Speculation) throws -> (Completion, [[TokenID]], [[UInt32]]) {
            let calls = Calls()
            let sampler = Sampler(
                sampling, vocabulary: 290,
                processors: [try LogitBias([3: 2, 5: -.infinity]), Noting(calls: calls)])
            let made = try session(speculation).complete(
                prompt, options, sampler: Noting(calls: calls, sampler: sampler))
            return calls.noted.withLock { (made, $0.map(\.history), $0.map(\.logits)) }
        }
        let expected = try calls(.off)
        let made = try calls(source.speculation(5, prompt, expected.0.tokens))
        expectEqual(made.0, expected.0, "\(source)")
        #expect(made.1 == expected.1 && made.2 == expected.2)
    }

    @Test
    func aTokenThatIsNoneFails() throws {
        let tokens: [TokenID] = [1, 2, 3, 290]
        for speculation in [.off, DraftKind.right.speculation(7, prompt, tokens + [4])] {
            let session = try session(speculation)
            var generation = Generation(
                session, prompt, .greedy, sampler: Recorded(tokens: tokens, prompt: prompt.count))
            for token in tokens.dropLast() { #expect(try generation.next()?.token == token) }
            #expect(throws: SessionError.notAToken(290, vocabulary: 290)) { try generation.next() }
            #expect(session.tokens == prompt + tokens.dropLast())
        }
    }

    // MARK: Sessions

    /// Between any two tokens the session is what it is without drafts, and may be copied, saved and used.
    @Test(arguments: DraftKind.allCases)
    func sessionsMayBeUsedBetweenTokens(_ source: DraftKind) throws {
        let plain = try session(.off)
        let expected = try plain.complete(prompt, GenerationOptions(maximumTokens: 24)).tokens
        let speculating = try session(source.speculation(6, prompt, expected))
        var generation = Generation(speculating, prompt, try GenerationOptions(maximumTokens: 24))
        for (index, token) in expected.enumerated() {
            #expect(try generation.next()?.token == token)
            #expect(speculating.tokens == prompt + expected[..<index])
            if index % 5 == 3 {
                // A step of another session of the engine, after which a draft's logits are gone.
                let fork = try speculating.fork()
                #expect(fork.tokens == speculating.tokens && fork.withLogits { _ in } != nil)
                try fork.append(token)
                plain.truncate(to: 0)
                try plain.append(prompt + expected[...index])
                #expect(fork.save() == plain.save())
                #expect(fork.withLogits { $0.map(\.bitPattern) } == plain.withLogits { $0.map(\.bitPattern) })
            }
        }
        #expect(try generation.next() == nil)
        // What is appended by hand replaces the rest of a draft.
        try speculating.append([9, 8, 7])
        plain.truncate(to: 0)
        try plain.append(speculating.tokens)
        #expect(speculating.save() == plain.save())
    }

    @Test(arguments: CacheEncoding.allCases, [TensorEncoding.q3, .q4, .q8, .f16, .f32])
    func allEncodings(_ cache: CacheEncoding, _ encoding: TensorEncoding) throws {
        let model = try TinyPhi(heads: 4, kvHeads: 2).model(encoding)
        let options = try GenerationOptions(maximumTokens: 50, logProbabilities: 0, ignoresEndOfText: true)
        let expected = try Session(model, threads: 1, cache: cache, speculation: .off).complete(prompt, options)
        for source in [DraftKind.right, .rightAtFirst] {
            let speculation = source.speculation(7, prompt, expected.tokens)
            let session = try Session(model, threads: 2, cache: cache, speculation: speculation)
            expectEqual(try session.complete(prompt, options), expected, "\(source)")
        }
    }

    @Test
    func asynchronousSessions() async throws {
        let options = try GenerationOptions(maximumTokens: 30, logProbabilities: 1)
        let expected = try session(.off).complete(prompt, options)
        let session = try AsyncSession(
            model, threads: 1, speculation: DraftKind.rightAtFirst.speculation(5, prompt, expected.tokens))
        var made: [GeneratedToken] = []
        for try await token in session.tokens(after: prompt, options) { made.append(token) }
        #expect(made.prefix(expected.tokens.count).map(\.token) == expected.tokens)
        #expect(made.compactMap(\.choice).prefix(expected.choices.count).elementsEqual(expected.choices))
        #expect(await session.withSession { $0.engine.draftCounts.accepted } > 0)
    }

    /// By what the engine measures, with a clock that counts its calls.
    @Test
    func measuredLengths() throws {
        let options = try GenerationOptions(maximumTokens: 100, ignoresEndOfText: true)
        let expected = try session(.off).complete(prompt, options)
        let session = try session(Speculation(corpus: DraftCorpus(prompt + expected.tokens)))
        var time = 0.0
        session.engine.planner.clock = {
            time += 0.01
            return time
        }
        expectEqual(try session.complete(prompt, options), expected, "measured")
        // Every step takes as long, so drafts pay; the corpus is right, so they are accepted.
        #expect(session.engine.draftCounts.accepted > 60, "\(session.engine.draftCounts)")
    }

    // MARK: Draft models

    @Test
    func theModelItselfIsAlwaysRight() throws {
        let options = try GenerationOptions(maximumTokens: 60, logProbabilities: 1, ignoresEndOfText: true)
        let expected = try session(.off).complete(prompt, options)
        var speculation = Speculation(policy: .fixed(5))
        speculation.draftModel = model
        let session = try session(speculation)
        expectEqual(try session.complete(prompt, options), expected, "itself")
        let counts = session.engine.draftCounts
        #expect(counts.accepted == counts.drafted && counts.accepted >= 40, "\(counts)")
        // Another completion, with the draft model's KV cache as the first one left it.
        let other = Array(prompt.prefix(5)) + [3]
        let again = try self.session(.off).complete(other, options)
        expectEqual(try session.complete(other, options), again, "another prompt")
    }

    @Test(arguments: [nil, 16])
    func anotherModelMayBeWrong(_ context: Int?) throws {
        let draft = try TinyPhi(context: context ?? 128, seed: 2).model(.q8)
        for sampling in [SamplingOptions.greedy, try SamplingOptions(temperature: 1, seed: 4)] {
            let options = try GenerationOptions(maximumTokens: 60, sampling: sampling, logProbabilities: 1)
            for policy in [Speculation.Policy.fixed(1), .fixed(7), .measured] {
                var speculation = Speculation(policy: policy)
                speculation.draftModel = draft
                let expected = try session(.off).complete(prompt, options)
                expectEqual(try session(speculation).complete(prompt, options), expected, "\(policy)")
            }
        }
    }

    @Test
    func aDraftModelNeedsTheSameTokenizer() throws {
        let other = try TinyPhi(rows: 290, tokens: 280).model(.q8)
        #expect(throws: SessionError.otherTokenizer) { try session(Speculation(draftModel: other)) }
        #expect(throws: SessionError.otherTokenizer) { try Engine(model, speculation: Speculation(draftModel: other)) }
    }

    // MARK: Batches

    /// Sequences of one engine, some with prompts still to read.
    @Test(arguments: DraftKind.allCases, [1, 3, 7])
    func sequencesTogether(_ source: DraftKind, _ length: Int) throws {
        let prompts = (0..<6).map { Array(Seeded.ids(40, vocabulary: 250).dropFirst($0).prefix(3 + 4 * $0)) }
        let options = try (0..<6).map {
            try GenerationOptions(
                maximumTokens: 10 + 5 * $0, sampling: SamplingOptions(temperature: $0 % 2 == 0 ? 0 : 1, seed: 9),
                logProbabilities: 1)
        }
        let expected = try zip(prompts, options).map { try session(.off).complete($0, $1) }
        let continuations = zip(prompts, expected).map { $0 + $1.tokens }
        let speculation = Speculation(policy: .fixed(length)) { tokens in
            guard let number = continuations.firstIndex(where: { $0.starts(with: tokens) }) else { return [] }
            return source.speculation(length, prompts[number], expected[number].tokens).source?(tokens) ?? []
        }
        let engine = try Engine(
            model, threads: 2, speculation: source == .itself ? Speculation(policy: .fixed(length)) : speculation)
        let decoders = try options.map { SequenceDecoder(try Session(engine), $0) }
        var choices = decoders.map { _ in [TokenChoice]() }
        for step in 0..<200 {
            // One more sequence starts with every third step.
            let started = decoders.prefix(1 + step / 3)
            let new = step % 3 == 0 && step / 3 < 6 ? [step / 3] : []
            try engine.append(
                new.map { (session: decoders[$0].session, tokens: prompts[$0]) },
                decoding: started.filter { $0.next != nil })
            for (number, decoder) in started.enumerated() {
                repeat {
                    guard let token = try decoder.decode() else { break }
                    if let choice = token.choice, token.stopReason != .endOfText { choices[number].append(choice) }
                } while decoder.acceptDraft()
            }
        }
        for (number, decoder) in decoders.enumerated() {
            #expect(decoder.output.tokens == expected[number].tokens && decoder.output.text == expected[number].text)
            #expect(decoder.stopReason == expected[number].stopReason)
            #expect(choices[number] == expected[number].choices)
        }
        #expect(source == .wrong || source == .itself || engine.draftCounts.accepted > 0)
    }
}
