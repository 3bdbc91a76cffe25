import Phi
import PhiFormat
import PhiTokenizer
import PhiTestSupport
import Testing

/// Forked, saved and restored prefixes equal computed ones, bit for bit.
struct ForkTests {
    static let shapes: [TinyPhi] = [
        TinyPhi(), TinyPhi(name: "odd", hidden: 120, heads: 3, context: 200),
        TinyPhi(name: "grouped", hidden: 64, heads: 4, kvHeads: 2),
    ]
    static let counts = [0, 1, 15, 16, 17, 63, 64, 65, 99, 100]

    private func bits(_ session: Session) -> [UInt32]? { session.withLogits { $0.map(\.bitPattern) } }

    @Test(arguments: shapes, CacheEncoding.allCases)
    func forksContinueAsIfTheyHadComputedAll(_ shape: TinyPhi, _ cache: CacheEncoding) throws {
        let model = try shape.model(.q8)
        let ids = Seeded.ids(120, vocabulary: model.config.vocabulary)
        let fresh = try Session(model, threads: 1, cache: cache)
        try fresh.append(ids)
        let other = try Session(model, threads: 1, cache: cache)
        try other.append(Array(ids.reversed()[..<110]))
        other.truncate(to: 0)
        try other.append(ids.prefix(100))
        for count in Self.counts {
            let fork = try other.fork(first: count, context: 121)
            #expect(fork.tokens == Array(ids.prefix(count)))
            #expect(fork.cacheEncoding == cache && fork.context == 121)
            #expect((bits(fork) != nil) == (count == 100 && count > 0 && bits(other) != nil))
            try fork.append(ids[count...])
            #expect(bits(fork) == bits(fresh), "after \(count)")
        }
        #expect(other.tokens == Array(ids.prefix(100)), "the original is as before")
        try other.append(ids[100...])
        #expect(bits(other) == bits(fresh))
    }

    @Test
    func forksCopyTheLogitsAndDiverge() throws {
        let model = try TinyPhi().model(.q4)
        let prompt = Seeded.ids(20, vocabulary: 250)
        let session = try Session(model, threads: 1)
        try session.append(prompt)
        let forks = try (0..<3).map { _ in try session.fork() }
        for fork in forks { #expect(bits(fork) == bits(session) && bits(fork) != nil) }
        for (seed, fork) in forks.enumerated() {
            let options = try GenerationOptions(
                maximumTokens: 12, sampling: SamplingOptions(temperature: 2, seed: UInt64(seed)))
            let made = try fork.complete(prompt, options)
            #expect(try made.tokens == Session(model, threads: 1).complete(prompt, options).tokens)
        }
        #expect(session.tokens == prompt)
    }

    @Test
    func forksThatDoNotFitAreRefused() throws {
        let session = try Session(TinyPhi().model(.q4), threads: 1)
        try session.append([1, 2, 3])
        #expect(throws: SessionError.doesNotFit(3, limit: 2)) { try session.fork(context: 2) }
        #expect(throws: SessionError.contextOutOfRange(129, limit: 128)) { try session.fork(context: 129) }
        #expect(try session.fork(first: 2, context: 2).tokens == [1, 2])
        #expect(try session.fork(first: -1).tokens == [])
        #expect(try session.fork(first: 9).tokens == [1, 2, 3])
    }

    @Test
    func rewindingKeepsTheCommonPrefix() throws {
        let session = try Session(TinyPhi().model(.q4), threads: 1)
        try session.append([1, 2, 3, 4])
        #expect(Array(session.rewind(to: [1, 2, 3, 4])) == [4])
        #expect(session.tokens == [1, 2, 3])
        #expect(Array(session.rewind(to: [1, 2, 9, 8])) == [9, 8])
        #expect(session.tokens == [1, 2])
        #expect(Array(session.rewind(to: [5])) == [5])
        #expect(session.tokens == [])
    }
}
