import Phi
import PhiFormat
import PhiTestSupport
import PhiTokenizer
import Testing

/// Constrained completions: always a text of the constraint, and the same for any threads, drafts and batches.
struct ConstraintTests {
    private let model: LanguageModel
    private let prompt = Seeded.ids(10, vocabulary: 250)

    init() throws { model = try TinyPhi(context: 512).model(.q4) }

    private static let constraints: [Constraint] = {
        let all =
            try? [
                .regex("[a-f]{5,40}(,[0-9]{1,3}){2,9}"), .regex("(é|😀|the )*;"), .choice(["yes", "no", "yes please"]),
                .jsonSchema(#"{"type":"array","items":{"enum":[true,{"a":1},"x"]},"minItems":3,"maxItems":9}"#),
                .jsonSchema("{}"), .regex("x"),
            ] as [Constraint]
        return all ?? []
    }()

    private func session(_ speculation: Speculation, threads: Int = 2) throws -> Session {
        try Session(model, threads: threads, speculation: speculation)
    }

    private static func samplings() throws -> [SamplingOptions] {
        [
            .greedy, try SamplingOptions(temperature: 1, seed: 4),
            try SamplingOptions(
                temperature: 2, topK: 9, topP: 0.9, minP: 0.01, repeatPenalty: 1.2, frequencyPenalty: 0.5, seed: 6),
        ]
    }

    private func options(_ constraint: Constraint, _ sampling: SamplingOptions, _ most: Int = 90) throws
        -> GenerationOptions
    {
        try GenerationOptions(maximumTokens: most, sampling: sampling, logProbabilities: 1, constraint: constraint)
    }

    private func expectEqual(_ a: Completion, _ b: Completion, _ comment: Comment) {
        #expect(
            a.tokens == b.tokens && a.text == b.text && a.choices == b.choices && a.stopReason == b.stopReason, comment)
    }

    // MARK: Random models

    /// A model of random weights writes valid JSON.
    @Test(arguments: JSONSchemas.all)
    func completionsAreValid(_ schema: String) throws {
        var ended = 0
        for (number, sampling) in try Self.samplings().enumerated() {
            // Favours what ends strings, lists and numbers, for texts that end within the context.
            let bias = try LogitBias(
                Dictionary(
                    uniqueKeysWithValues: "\"]},".utf8.map { (model.tokenizer.encode(String(UnicodeScalar($0)))[0], 4) }
                ))
            let constrained = try options(.jsonSchema(schema), sampling, 400)
            let session = try session(.automatic, threads: 1)
            let made = try session.complete(
                prompt, constrained, sampler: constrained.sampler(for: model, seed: UInt64(number), processors: [bias]))
            #expect(made.choices.count == made.tokens.count)
            guard made.stopReason == .complete || made.stopReason == .endOfText else {
                #expect(made.stopReason == .maximumTokens)
                continue
            }
            ended += 1
            #expect(try JSONSchemas.isValid(Array(made.text.utf8), schema), "\(schema): \(made.text)")
        }
        // Only by chance does the model write what this pattern looks for.
        #expect(ended > 0 || schema.contains("ab|^c"), "\(schema)")
    }

    @Test func aTextThatCannotGoOnEndsWithoutAStep() throws {
        let session = try session(.off)
        let made = try session.complete(prompt, options(.choice(["the", "then"]), .greedy))
        #expect(["the", "then"].contains(made.text))
        let one = try session.complete(prompt, options(.regex("the"), .greedy))
        #expect(
            one.text == "the" && one.stopReason == .complete
                && one.tokens == Array(session.tokens.dropFirst(10)) + one.tokens.suffix(1))
        // As does the empty text, and a text that is complete with its last token.
        let empty = try session.complete(prompt, options(.regex(""), .greedy))
        #expect(empty.text == "" && empty.tokens.isEmpty && empty.stopReason == .complete)
        let short = try session.complete(prompt, options(.regex("the"), .greedy, one.tokens.count))
        #expect(short.stopReason == .complete)
        if one.tokens.count > 1 {
            #expect(try session.complete(prompt, options(.regex("the"), .greedy, 1)).stopReason == .maximumTokens)
        }
        #expect(StopReason.complete.name == "complete")
    }

    @Test func theConstraintGoesBeforeAllElse() throws {
        let ends = model.textBounds.ends
        func made(
            _ constraint: Constraint, _ bias: [TokenID: Float] = [:], least: Int = 0, ignores: Bool = false,
            stops: [TokenID] = []
        ) throws -> Completion {
            let options = try GenerationOptions(
                maximumTokens: 30, ignoresEndOfText: ignores, minimumTokens: least, stopTokens: stops,
                constraint: constraint)
            return try session(.off).complete(
                prompt, options, sampler: options.sampler(for: model, processors: [LogitBias(bias)]))
        }
        // Biases may exclude all that is allowed, and a minimum the end.
        let a = try #require(model.tokenizer.id(of: Array("a".utf8)))
        #expect(try made(.regex("aa"), [a: -.infinity]).text == "aa")
        #expect(try made(.regex("aa"), least: 20).text == "aa")
        #expect(try made(.regex("a*"), [ends[0]: 100]).text == "")
        #expect(try made(.regex("a*"), [ends[0]: 100], ignores: true).tokens.count == 30)
        // A stop token is the end of a text and none of its tokens.
        #expect(throws: SessionError.noTokenFits) { try made(.regex("ab"), stops: [a, 256]) }
        // Whatever a sampler returns.
        struct Fixed: TokenSampler {
            let token: TokenID
            func sample(_ logits: UnsafeBufferPointer<Float>, history: [TokenID]) -> TokenID { token }
        }
        for token: TokenID in [0, 256, -1, 5000] {
            let options = try options(.regex("(the|of){3}x"), .greedy)
            #expect(try session(.off).complete(prompt, options, sampler: Fixed(token: token)).text.hasSuffix("x"))
        }
    }

    // MARK: Tokens

    /// Masks hold the tokens whose bytes may follow, and no other.
    @Test(arguments: [0, 3, 4])
    func masksAreThoseOfTheTokens(_ number: Int) throws {
        let constraint = Self.constraints[number]
        let vocabulary = model.tokenizer.vocabulary
        let masks = model.constraints.masks(of: constraint, vocabulary)
        #expect(model.constraints.masks(of: constraint, vocabulary) === masks)
        let made = try session(.off).complete(prompt, options(constraint, SamplingOptions(temperature: 1, seed: 3), 40))
        var stack = AutomatonStack()
        var position = Automaton.Position(state: constraint.automaton.start)
        for token in made.tokens {
            let mask = masks.mask(position, stack)
            for other in 0..<TokenID(vocabulary.count) {
                var next: Automaton.Position? = vocabulary.isSpecial(other) ? nil : position
                for byte in vocabulary.bytes(of: other) {
                    next = next.flatMap { constraint.automaton.next($0, byte, &stack) }
                }
                #expect((mask[Int(other) / 64] >> UInt64(other % 64) & 1 == 1) == (next != nil), "\(other)")
                if other == token { #expect(next != nil) }
            }
            for byte in vocabulary.bytes(of: token) {
                position = try #require(constraint.automaton.next(position, byte, &stack))
            }
        }
        // A mask visits each node of the trie once at most, and once for all completions.
        let counts = masks.counts
        #expect(counts.visited <= counts.masks * TokenTrie(vocabulary).count)
        _ = try session(.off).complete(prompt, options(constraint, SamplingOptions(temperature: 1, seed: 3), 40))
        #expect(masks.counts == counts)
    }

    @Test func masksAreBounded() throws {
        let masks = TokenMasks(
            try Constraint.regex("(a|b){1000}").automaton, TokenTrie(model.tokenizer.vocabulary),
            vocabulary: model.config.vocabulary)
        var stack = AutomatonStack()
        var position = Automaton.Position(state: masks.automaton.start)
        for _ in 0..<900 {
            _ = masks.mask(position, stack)
            position = try #require(masks.automaton.next(position, UInt8(ascii: "a"), &stack))
            #expect(masks.counts.masks <= TokenMasks.limit)
        }
        for count in 0..<100 {
            _ = model.constraints.masks(of: try .regex("[a-z]{900}\(count)"), model.tokenizer.vocabulary)
        }
        #expect(model.constraints.bytes <= ConstraintCache.limit)
    }

    // MARK: Equalities

    @Test(arguments: DraftKind.allCases, [1, 4, 7])
    func draftsChangeNothing(_ source: DraftKind, _ length: Int) throws {
        #expect(Self.constraints.count == 6)
        for constraint in Self.constraints {
            for sampling in try Self.samplings() {
                let options = try options(constraint, sampling)
                let plain = try session(.off, threads: 1)
                let expected = try plain.complete(prompt, options)
                let speculating = try session(source.speculation(length, prompt, expected.tokens))
                expectEqual(
                    try speculating.complete(prompt, options), expected, "\(sampling) \(source)")
                #expect(speculating.tokens == plain.tokens && speculating.save() == plain.save())
                let counts = speculating.engine.draftCounts
                // The last token ends the completion before it would be accepted.
                if source == .right { #expect(counts.drafted - counts.accepted <= 1) }
                // What was generated before does not count.
                expectEqual(try speculating.complete(prompt, options), expected, "again")
            }
        }
    }

    @Test(arguments: DraftKind.allCases)
    func sequencesTogether(_ source: DraftKind) throws {
        let prompts = (0..<6).map { Array(Seeded.ids(40, vocabulary: 250).dropFirst($0).prefix(3 + 4 * $0)) }
        let samplings = try Self.samplings()
        let options = try (0..<6).map { try self.options(Self.constraints[$0], samplings[$0 % 3], 40) }
        let expected = try zip(prompts, options).map { try session(.off).complete($0, $1) }
        let speculation = Speculation(policy: .fixed(5)) { tokens in
            guard
                let number = prompts.indices.first(where: { (prompts[$0] + expected[$0].tokens).starts(with: tokens) })
            else { return [] }
            return source.speculation(5, prompts[number], expected[number].tokens).source?(tokens) ?? []
        }
        let engine = try Engine(
            model, threads: 2, speculation: source == .itself ? Speculation(policy: .fixed(5)) : speculation)
        let decoders = try options.map { SequenceDecoder(try Session(engine), $0) }
        for step in 0..<120 {
            let started = decoders.prefix(1 + step / 3)
            let new = step % 3 == 0 && step / 3 < 6 ? [step / 3] : []
            try engine.append(
                new.map { (session: decoders[$0].session, tokens: prompts[$0]) },
                decoding: started.filter { $0.next != nil })
            for decoder in started {
                repeat { if try decoder.decode() == nil { break } } while decoder.acceptDraft()
            }
        }
        for (decoder, expected) in zip(decoders, expected) {
            #expect(decoder.output.tokens == expected.tokens && decoder.output.text == expected.text)
            #expect(decoder.stopReason == expected.stopReason)
        }
    }

    @Test func constraintsOfOneSourceAreEqual() throws {
        #expect(try Constraint.jsonSchema(#"{ "type" : "null" }"#) == .jsonSchema(#"{"type":"null"}"#))
        #expect(try Constraint.regex("a") != .regex("b"))
        #expect(try Constraint.regex("a") != .choice(["a"]))
    }
}
