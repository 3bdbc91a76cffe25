import Phi
import PhiFormat
import PhiTokenizer
import PhiTestSupport
import Testing

struct SessionTests {
    private func bits(_ session: Session) -> [UInt32]? { session.withLogits { $0.map(\.bitPattern) } }

    @Test(arguments: [TensorEncoding.q4, .f32])
    func truncatedAndContinuedIsAsFromScratch(_ encoding: TensorEncoding) throws {
        let model = try TinyPhi().model(encoding)
        let ids = Seeded.ids(100, vocabulary: model.config.vocabulary)
        let fresh = try Session(model, threads: 1)
        try fresh.append(ids)
        let used = try Session(model, threads: 1)
        try used.append(ids.reversed())
        for keep in [0, 1, 15, 16, 17, 63, 64, 65, 99] {
            used.truncate(to: 0)
            try used.append(ids.prefix(keep))
            try used.append(ids.suffix(28))
            used.truncate(to: keep)
            #expect(used.tokens == Array(ids.prefix(keep)))
            #expect(used.withLogits { _ in } == nil)
            try used.append(ids[keep...])
            #expect(used.tokens == ids)
            #expect(bits(used) == bits(fresh), "after \(keep)")
        }
    }

    @Test
    func truncatingToMoreThanThereIsChangesNothing() throws {
        let session = try Session(TinyPhi().model(.q4), threads: 1)
        try session.append([1, 2, 3])
        session.truncate(to: 3)
        session.truncate(to: 500)
        #expect(session.tokens == [1, 2, 3])
        #expect(bits(session) != nil)
        session.truncate(to: -1)
        #expect(session.tokens.isEmpty)
        #expect(session.remainingContext == session.context)
    }

    @Test
    func contextEndsWhereItSays() throws {
        let model = try TinyPhi().model(.q8)
        let session = try Session(model, context: 20, threads: 1)
        #expect(session.context == 20)
        let tooMany = [TokenID](repeating: 5, count: 21)
        #expect(throws: SessionError.doesNotFit(21, limit: 20)) { try session.append(tooMany) }
        #expect(session.tokens.isEmpty)
        try session.append([TokenID](repeating: 5, count: 20))
        #expect(session.remainingContext == 0)
        let before = bits(session)
        #expect(throws: SessionError.contextFull(20)) { try session.append(5) }
        #expect(throws: SessionError.doesNotFit(.max, limit: 20)) {
            try session.check(repeatElement(TokenID(5), count: .max))
        }
        #expect(throws: SessionError.doesNotFit(21, limit: 20)) { try session.append([5]) }
        #expect(session.tokens.count == 20)
        #expect(bits(session) == before)
        // The same as with all the model's positions.
        let long = try Session(model, threads: 1)
        try long.append([TokenID](repeating: 5, count: 20))
        #expect(bits(long) == before)
    }

    @Test(arguments: [-1, 290, 299, TokenID.max, TokenID.min])
    func idsThatAreNoTokensAreRefused(_ id: TokenID) throws {
        let session = try Session(TinyPhi().model(.q4), threads: 1)
        try session.append([7])
        let before = bits(session)
        #expect(throws: SessionError.notAToken(id, vocabulary: 290)) { try session.append(id) }
        #expect(throws: SessionError.notAToken(id, vocabulary: 290)) { try session.append([1, 2, id]) }
        #expect(session.tokens == [7])
        #expect(bits(session) == before)
    }

    @Test
    func impossibleSessionsAreRefused() throws {
        let model = try TinyPhi().model(.q4)
        for context in [0, -1, 129] {
            #expect(throws: SessionError.contextOutOfRange(context, limit: 128)) {
                try Session(model, context: context)
            }
        }
        for threads in [0, -1, 1025] {
            #expect(throws: SessionError.threadsOutOfRange(threads)) { try Session(model, threads: threads) }
        }
    }

    /// A small file may ask for the largest context: it opens at once and takes memory as positions are used.
    @Test
    func theLargestContextCostsNothingUntilItIsAskedFor() throws {
        let phi = TinyPhi(hidden: 256, layers: 1, heads: 1, rotaryFactor: 1, context: 1_048_576)
        let time = try ContinuousClock().measure {
            let model = try phi.model(.q4)
            let session = try Session(model, context: 16, threads: 1)
            try session.append([1, 2, 3])
        }
        #expect(time < .seconds(5))
    }

    @Test
    func appendingNoTokensChangesNothing() throws {
        let session = try Session(TinyPhi().model(.q4), threads: 1)
        try session.append([TokenID]())
        #expect(session.withLogits { _ in } == nil)
        try session.append([3, 4])
        let before = bits(session)
        try session.append([TokenID]()) { _, _ in Issue.record("no token, no logits") }
        #expect(bits(session) == before)
    }

    @Test
    func sessionsShareAModelFromManyTasks() async throws {
        let model = try TinyPhi().model(.q4)
        let ids = Seeded.ids(60, vocabulary: model.config.vocabulary)
        let alone = try Session(model, threads: 1)
        try alone.append(ids)
        let truth = bits(alone)
        let all = try await withThrowingTaskGroup(of: [UInt32]?.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    let session = try Session(model, threads: 2)
                    for id in ids { try session.append(id) }
                    return session.withLogits { $0.map(\.bitPattern) }
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(all.allSatisfy { $0 == truth })
    }

    /// A context that is never filled costs nothing: the table of its positions is computed as far as a sequence gets.
    @Test func aLargeContextIsCheap() throws {
        let shape = TinyPhi(
            hidden: 1024, intermediate: 16, layers: 1, heads: 1, rotaryFactor: 1, rows: 300, context: 524_288)
        let model = try shape.model(.q8)
        func resident() -> Int {
            let text = String(decoding: (try? readFile("/proc/self/statm")) ?? [], as: UTF8.self)
            let fields = text.split(separator: " ").compactMap { Int($0) }
            return fields.count > 1 ? fields[1] * 4096 : 0
        }
        let before = resident()
        let session = try Session(model)
        try session.append([1, 2, 3])
        // The table alone has 2 GB.
        #expect(session.context == 524_288 && resident() - before < 1 << 30)
        // Its rows are those of a table that is as long as the sequence, also behind the first ones.
        let tokens = (0..<600).map { TokenID($0 % 256) }
        let short = try Session(model, context: 600), long = try Session(model)
        try short.append(tokens)
        for token in tokens { try long.append(token) }
        #expect(short.withLogits(Array.init) == long.withLogits(Array.init))
    }
}
