import Foundation
import Phi
import PhiFormat
import PhiTokenizer
import PhiTestSupport
import Testing

/// Asynchronous completions equal those of a session.
struct AsyncSessionTests {
    private let model: LanguageModel
    private let prompt = Seeded.ids(10, vocabulary: 250)

    init() throws { model = try TinyPhi(context: 512).model(.q8) }

    private func options(_ count: Int?, seed: UInt64 = 11, stop: [String] = []) throws -> GenerationOptions {
        try GenerationOptions(
            maximumTokens: count, sampling: SamplingOptions(temperature: 1, seed: seed), stop: stop,
            logProbabilities: 2)
    }

    @Test
    func tokensAreThoseOfTheSession() async throws {
        let session = try AsyncSession(model, threads: 2)
        let whole = try Session(model, threads: 1).complete(prompt, options(60))
        for stop in [[], [String(whole.text.dropFirst(20).prefix(3))]] {
            let expected = try Session(model, threads: 1).complete(prompt, options(60, stop: stop))
            var tokens: [GeneratedToken] = []
            for try await token in session.tokens(after: prompt, try options(60, stop: stop)) { tokens.append(token) }
            let ofText = tokens.filter { $0.stopReason != .endOfText }
            #expect(ofText.map(\.token) == expected.tokens)
            #expect(tokens.map(\.text).joined() == expected.text)
            #expect(ofText.compactMap(\.choice) == expected.choices)
            #expect(tokens.map(\.stopReason) == tokens.dropLast().map { _ in nil } + [expected.stopReason])
        }
        // A prompt of text, in an isolated context of its own.
        let text = "def f(x):\n"
        let expected = try Session(model, threads: 1).complete(text, options(20))
        let pieces = try await Task { @MainActor in
            var pieces: [String] = []
            for try await token in session.tokens(after: text, try options(20)) { pieces.append(token.text) }
            return pieces
        }.value
        #expect(pieces.joined() == expected.text)
    }

    @Test
    func choicesAreTheModelsOwn() async throws {
        let session = try AsyncSession(model, threads: 1)
        let made = try await session.withSession { session in
            try session.complete(prompt, options(10))
        }
        let plain = try Session(model, threads: 1)
        try plain.append(prompt)
        for choice in made.choices {
            let truth = plain.withLogits { (LogProbabilities($0).of(choice.token), LogProbabilities($0).top(2)) }
            #expect(truth?.0 == choice.logProbability && truth?.1 == choice.alternatives)
            try plain.append(choice.token)
        }
        #expect(made.choices.map(\.token) == made.tokens)
    }

    /// Cancels its own task while a token is chosen.
    private struct Cancelling: TokenSampler {
        var countdown: Int

        mutating func sample(_ logits: UnsafeBufferPointer<Float>, history: [TokenID]) -> TokenID {
            countdown -= 1
            if countdown == 0 { withUnsafeCurrentTask { $0?.cancel() } }
            return 65
        }
    }

    @Test(arguments: [1, 2, 7])
    func aCancelledTaskEndsWithinAStep(_ steps: Int) async throws {
        let session = try AsyncSession(model, threads: 1)
        let count = await Task {
            var count = 0
            do {
                for try await _ in session.tokens(after: prompt, sampler: Cancelling(countdown: steps)) { count += 1 }
                Issue.record("the text went on")
            } catch { #expect(error is CancellationError) }
            return count
        }.value
        #expect(count == steps)
        // The session continues for others.
        var tokens: [TokenID] = []
        for try await token in session.tokens(after: prompt, try options(20)) { tokens.append(token.token) }
        #expect(try tokens == Session(model, threads: 1).complete(prompt, options(20)).tokens)
    }

    @Test
    func aTaskThatIsCancelledBeforeComputesNothing() async throws {
        let session = try AsyncSession(model, threads: 1)
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            for try await _ in session.tokens(after: prompt) { Issue.record("a token") }
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(await session.withSession { $0.tokens.isEmpty })
    }

    @Test
    func errorsAreTheSessions() async throws {
        let session = try AsyncSession(model, context: 16, threads: 1)
        await #expect(throws: SessionError.doesNotFit(17, limit: 16)) {
            for try await _ in session.tokens(after: [TokenID](repeating: 1, count: 17)) {}
        }
        await #expect(throws: SessionError.notAToken(290, vocabulary: 290)) {
            for try await _ in session.tokens(after: [290]) {}
        }
        #expect(throws: SessionError.threadsOutOfRange(0)) { try AsyncSession(model, threads: 0) }
        var first = session.tokens(after: prompt).makeAsyncIterator()
        #expect(try await first.next() != nil)
        var second = session.tokens(after: prompt).makeAsyncIterator()
        #expect(try await second.next() != nil)
        await #expect(throws: SessionError.superseded) { try await first.next() }
        #expect(try await second.next() != nil)
    }

    @Test
    func manyTasksShareAModel() async throws {
        let seeds = Array(1...4 as ClosedRange<UInt64>)
        let texts = try await withThrowingTaskGroup(of: (UInt64, [TokenID]).self) { group in
            for seed in seeds {
                group.addTask {
                    let session = try AsyncSession(model, threads: 2)
                    var tokens: [TokenID] = []
                    for try await token in session.tokens(after: prompt, try options(40, seed: seed)) {
                        tokens.append(token.token)
                    }
                    return (seed, tokens)
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for seed in seeds {
            #expect(try texts[seed] == Session(model, threads: 1).complete(prompt, options(40, seed: seed)).tokens)
        }
    }

    private static let threads = "/proc/self/task"

    /// Neither the session's own thread nor OpenMP's outlive it.
    @Test(.enabled(if: FileManager.default.fileExists(atPath: threads), "counts threads in /proc"))
    func threadsEndWithTheirSession() async throws {
        for _ in 0..<150 {
            let session = try AsyncSession(model, threads: 3)
            for try await _ in session.tokens(after: prompt, try options(2)) {}
        }
        // Other tests run at the same time, so the exact number is unknown.
        var count = Int.max
        for _ in 0..<200 where count > 225 {
            count = try FileManager.default.contentsOfDirectory(atPath: Self.threads).count
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(count <= 225, "150 sessions of three threads would be 450")
    }
}
