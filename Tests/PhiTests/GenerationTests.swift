import Phi
import PhiFormat
import PhiTokenizer
import PhiTestSupport
import Testing

/// Completions of a tiny model: nonsense, and always the same.
struct GenerationTests {
    private let model: LanguageModel
    private let prompt: [TokenID]

    init() throws {
        model = try TinyPhi().model(.q8)
        prompt = Seeded.ids(10, vocabulary: 250)
    }

    private func options(_ count: Int?, temperature: Double = 1, stop: [String] = []) throws -> GenerationOptions {
        try GenerationOptions(
            maximumTokens: count, sampling: SamplingOptions(temperature: temperature, seed: 11), stop: stop)
    }

    /// One token after the other, with nothing but a session and a sampler.
    private func plainly(_ prompt: [TokenID], _ options: SamplingOptions, _ count: Int) throws -> [TokenID] {
        let session = try Session(model, threads: 1)
        try session.append(prompt)
        var sampler = Sampler(options, vocabulary: model.config.vocabulary)
        var tokens: [TokenID] = []
        while tokens.count < count {
            let token = try #require(session.withLogits { sampler.sample($0, history: session.tokens) })
            if token == TokenID(model.config.endOfText) { break }
            tokens.append(token)
            try session.append(token)
        }
        return tokens
    }

    /// Another generation, an append or a truncation between two tokens would otherwise change the text without a word.
    @Test
    func aChangedSessionEndsAGeneration() throws {
        let changes: [(Session) throws -> Void] = [
            { _ = try $0.complete([1, 2, 3], self.options(2)) }, { try $0.append(TokenID(1)) }, { $0.truncate(to: 2) },
            { try $0.restore($0.save(first: 3)) },
        ]
        for change in changes {
            let session = try Session(model, threads: 1)
            var first = Generation(session, prompt, try options(20))
            for _ in 0..<2 { #expect(try first.next() != nil) }
            try change(session)
            #expect(throws: SessionError.superseded) { try first.next() }
        }
        // What changes nothing does no harm, and each session counts for itself.
        let session = try Session(model, threads: 1)
        var first = Generation(session, prompt, try options(20))
        var tokens: [TokenID] = []
        while let next = try first.next() {
            tokens.append(next.token)
            session.truncate(to: .max)
            try session.fork().append(TokenID(1))
        }
        #expect(tokens.starts(with: try Session(model, threads: 1).complete(prompt, options(20)).tokens))
    }

    /// Text that may begin a stop string, and a character's first bytes, belong to a completion that is cancelled.
    @Test
    func aCancelledCompletionHasAllItsText() throws {
        let whole = try Session(model, threads: 1).complete(prompt, options(12))
        let stop = whole.text + "never"
        var calls = 0
        let cancelled = try Session(model, threads: 1).complete(prompt, options(40, stop: [stop])) { _ in
            calls += 1
            return calls < 12
        }
        #expect(cancelled.stopReason == .cancelled && cancelled.tokens == Array(whole.tokens.prefix(12)))
        #expect(cancelled.text == model.tokenizer.decode(cancelled.tokens, skipSpecial: true))
    }

    @Test
    func tokensAndTextAreThoseOfTheSampler() throws {
        let session = try Session(model, threads: 1)
        var pieces: [String] = []
        let options = try options(40)
        let made = try session.complete(prompt, options) {
            pieces.append($0)
            return true
        }
        #expect(made.tokens == (try plainly(prompt, options.sampling, 40)))
        #expect(made.text == model.tokenizer.decode(made.tokens, skipSpecial: true))
        #expect(pieces.joined() == made.text)
        #expect(pieces.count >= made.tokens.count, "a piece for each token, if an empty one")
        #expect(made.promptTokens == 10)
        #expect(made.reusedTokens == 0)
        #expect(made.stopReason == .maximumTokens || made.stopReason == .endOfText)
        #expect(session.tokens == prompt + made.tokens.dropLast(made.stopReason == .endOfText ? 0 : 1))
        #expect(made.timings.prefill > 0 && made.timings.decode > 0)
        #expect((made.timings.firstToken ?? 0) >= made.timings.prefill)
    }

    /// Text that may begin a stop string is held back, but the completion can be cancelled meanwhile.
    @Test
    func canBeCancelledWhileThereIsNoText() throws {
        let greedy = try GenerationOptions(maximumTokens: 40, ignoresEndOfText: true)
        let text = try Session(model, threads: 1).complete(prompt, greedy).text
        let held = try GenerationOptions(maximumTokens: 40, stop: [text + "!"], ignoresEndOfText: true)
        var pieces: [String] = []
        let cancelled = try Session(model, threads: 1).complete(prompt, held) {
            pieces.append($0)
            return pieces.count < 5
        }
        #expect(cancelled.stopReason == .cancelled && cancelled.tokens.count <= 5)
        #expect(pieces == [String](repeating: "", count: 5))
    }

    @Test
    func asOftenAsAsked() throws {
        let session = try Session(model, threads: 1)
        let greedy = try GenerationOptions(maximumTokens: 25, sampling: .init(repeatPenalty: 1.2))
        let first = try session.complete(prompt, greedy)
        let again = try session.complete(prompt, greedy)
        #expect(again.text == first.text && again.tokens == first.tokens)
        #expect(again.reusedTokens == 9)  // the last one is read again for its logits
        // Another prompt with the same beginning, and the text so far as a prompt.
        let other = try session.complete(Array(prompt.prefix(5)) + [70, 71], greedy)
        #expect(other.reusedTokens == 5)
        let fresh = try Session(model, threads: 1).complete(Array(prompt.prefix(5)) + [70, 71], greedy)
        #expect(other.tokens == fresh.tokens)
        let more = try session.complete(session.tokens, greedy)
        #expect(more.reusedTokens == more.promptTokens)
        #expect(more.tokens.first == other.tokens.last)
    }

    @Test
    func emptyPromptBeginsAfterEndOfText() throws {
        let options = try options(5)
        let empty = try Session(model, threads: 1).complete([TokenID](), options)
        let explicit = try Session(model, threads: 1).complete([256], options)
        let text = try Session(model, threads: 1).complete("", options)
        let special = try Session(model, threads: 1).complete("<|endoftext|>", options)
        #expect(empty.promptTokens == 1)
        for other in [explicit, text, special] { #expect(other.tokens == empty.tokens) }
    }

    @Test
    func noTokensAreMadeWhenNoneAreWanted() throws {
        let session = try Session(model, threads: 1)
        let made = try session.complete(prompt, options(0))
        #expect(made.text == "" && made.tokens.isEmpty && made.stopReason == .maximumTokens)
        #expect(made.timings.firstToken == nil)
        #expect(session.tokens == prompt)
    }

    @Test
    func theContextEndsACompletion() throws {
        for count in [10, 11, 20] {
            let session = try Session(model, context: count, threads: 1)
            let options = try GenerationOptions(sampling: .init(temperature: 0.01))
            let made = try session.complete(prompt, options)
            #expect(made.stopReason == .contextFull)
            #expect(made.tokens.count == count - 10 + 1)
            #expect(session.remainingContext == 0)
            #expect(made.text == model.tokenizer.decode(made.tokens, skipSpecial: true))
        }
        let session = try Session(model, context: 9, threads: 1)
        try session.append([1, 2])
        #expect(throws: SessionError.doesNotFit(10, limit: 9)) { try session.complete(prompt) }
        #expect(throws: SessionError.notAToken(290, vocabulary: 290)) { try session.complete([3, 290]) }
        #expect(session.tokens == [1, 2])
        #expect(session.withLogits { _ in } != nil)
    }

    @Test
    func endOfTextEndsACompletionAndIsNotInIt() throws {
        for seed in 0..<200 as Range<UInt64> {
            let options = try GenerationOptions(sampling: SamplingOptions(temperature: 3, seed: seed))
            let session = try Session(model, threads: 1)
            let made = try session.complete(prompt, options)
            #expect(!made.tokens.contains(256))
            #expect(!made.text.contains("<|endoftext|>"))
            if made.stopReason == .endOfText {
                #expect(session.tokens == prompt + made.tokens)
                return
            }
        }
        Issue.record("no text ended")
    }

    @Test
    func stopStringsEndACompletionAcrossTokens() throws {
        let whole = try Session(model, threads: 1).complete(prompt, options(60))
        let scalars = Array(whole.text.unicodeScalars)
        #expect(scalars.count > 20)
        func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
            String(String.UnicodeScalarView(scalars))
        }
        for start in 0..<scalars.count - 5 {
            for length in [1, 2, 5] {
                let stop = string(scalars[start..<start + length])
                var streamed = ""
                let session = try Session(model, threads: 1)
                let made = try session.complete(prompt, options(60, stop: [stop, "not there"])) {
                    streamed += $0
                    return true
                }
                var first = 0
                while !scalars[first...].starts(with: stop.unicodeScalars) { first += 1 }
                #expect(made.stopReason == .stopString(stop))
                #expect(Array(made.text.utf8) == Array(string(scalars[..<first]).utf8))
                #expect(Array(streamed.utf8) == Array(made.text.utf8))
                #expect(whole.tokens.starts(with: made.tokens))
                #expect(session.tokens == prompt + made.tokens.dropLast())
            }
        }
    }

    @Test
    func stopTokensEndACompletionAndAreNotInIt() throws {
        let sampling = try SamplingOptions(repeatPenalty: 1.3)
        let plain = try GenerationOptions(maximumTokens: 60, sampling: sampling)
        let whole = try Session(model, threads: 1).complete(prompt, plain)
        let stop = whole.tokens[20]
        let first = try #require(whole.tokens.firstIndex(of: stop))
        func complete(_ minimum: Int) throws -> Completion {
            let options = try GenerationOptions(
                maximumTokens: 60, sampling: sampling, minimumTokens: minimum, stopTokens: [5, stop])
            return try Session(model, threads: 1).complete(prompt, options)
        }
        let made = try complete(0)
        #expect(made.tokens == Array(whole.tokens.prefix(first)) && made.stopReason == .endOfText)
        // Until there are as many tokens as asked for, it is not chosen: its logit is minus infinity.
        for minimum in [first, first + 1, 40] {
            let longer = try complete(minimum)
            #expect(longer.tokens.count >= minimum && longer.tokens.starts(with: made.tokens))
            #expect(!longer.tokens.contains(stop))
            #expect((longer.tokens.count == first) == (minimum == first))
        }
    }

    @Test
    func neitherEndsNorStopStringsComeBeforeTheMinimum() throws {
        let bias = try LogitBias([256: 100])
        let options = try GenerationOptions(maximumTokens: 9, minimumTokens: 4)
        let sampler = options.sampler(for: model, processors: [bias])
        let made = try Session(model, threads: 1).complete(prompt, options, sampler: sampler)
        #expect(made.tokens.count == 4 && !made.tokens.contains(256) && made.stopReason == .endOfText)
        // A stop string in the first tokens is text.
        let whole = try Session(model, threads: 1).complete(prompt, GenerationOptions(maximumTokens: 20)).text
        let stop = String(whole.prefix(2))
        let stopped = try GenerationOptions(maximumTokens: 20, stop: [stop], minimumTokens: 3)
        #expect(try Session(model, threads: 1).complete(prompt, stopped).text.hasPrefix(stop))
    }

    @Test
    func theCallbackEndsALongPrefill() throws {
        let model = try TinyPhi(context: 1024).model(.q8)
        let prompt = Seeded.ids(1000, vocabulary: 250)
        let session = try Session(model, threads: 1)
        var calls = 0
        let made = try session.complete(prompt, options(5)) { piece in
            calls += 1
            return !piece.isEmpty || calls < 3
        }
        #expect(made.stopReason == .cancelled)
        #expect(made.tokens.isEmpty && made.text.isEmpty && made.timings.firstToken == nil)
        #expect(!session.tokens.isEmpty && session.tokens.count < prompt.count)
        #expect(session.withLogits { _ in } == nil)
        // What was read is kept, and changes no result.
        let whole = try Session(model, threads: 1).complete(prompt, options(5))
        let again = try session.complete(prompt, options(5))
        #expect(again.tokens == whole.tokens && again.reusedTokens > 0)
    }

    @Test
    func theCallbackEndsACompletion() throws {
        let whole = try Session(model, threads: 1).complete(prompt, options(30))
        var streamed = ""
        let session = try Session(model, threads: 1)
        let made = try session.complete(prompt, options(30)) {
            streamed += $0
            return streamed.utf8.count < 8
        }
        #expect(made.stopReason == .cancelled)
        #expect(made.text == streamed)
        #expect(whole.tokens.starts(with: made.tokens))
        #expect(made.tokens.count < whole.tokens.count)
        // The session continues as if nothing had been.
        #expect(try session.complete(prompt, options(30)).tokens == whole.tokens)
    }

    @Test
    func namesForJSONStay() {
        let reasons: [StopReason] = [.endOfText, .complete, .stopString("x"), .maximumTokens, .contextFull, .cancelled]
        #expect(
            reasons.map(\.name)
                == ["end_of_text", "complete", "stop_string", "max_tokens", "context_full", "cancelled"])
    }
}
