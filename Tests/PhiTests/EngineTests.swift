import Phi
import PhiFormat
import PhiTokenizer
import PhiTestSupport
import Testing

/// Sessions computed in one batch equal sessions computed alone, bit for bit.
struct EngineTests {
    private func bits(_ session: Session) -> [UInt32]? { session.withLogits { $0.map(\.bitPattern) } }

    @Test(arguments: [TensorEncoding.q3, .q4, .q8, .f16, .f32], [1, 2])
    func batchesEqualSessionsAlone(_ encoding: TensorEncoding, _ threads: Int) throws {
        let model = try TinyPhi(heads: 4, context: 512).model(encoding)
        let ids = Seeded.ids(2000, vocabulary: model.config.vocabulary)
        let engine = try Engine(model, threads: threads)
        // Prompts of all lengths, more than one batch together, then single tokens beside longer pieces.
        let lengths = [1, 250, 3, 12, 13, 70, 1, 100]
        let together = try lengths.map { _ in try Session(engine) }
        let alone = try lengths.map { _ in try Session(model, threads: 1) }
        var at = 0
        func pieces(_ lengths: [Int]) -> [[TokenID]] {
            lengths.map { length in
                defer { at += length }
                return Array(ids[at..<at + length])
            }
        }
        for lengths in [lengths, lengths.map { _ in 1 }, [1, 0, 30, 1, 1, 0, 2, 1], lengths.map { _ in 1 }] {
            let tokens = pieces(lengths)
            try engine.append(zip(together, tokens).map { (session: $0, tokens: $1) })
            for (n, tokens) in tokens.enumerated() where !tokens.isEmpty {
                try alone[n].append(tokens)
                #expect(bits(together[n]) == bits(alone[n]), "session \(n)")
                #expect(together[n].tokens == alone[n].tokens)
            }
        }
    }

    @Test
    func aSessionMayLeaveTheBatch() throws {
        let model = try TinyPhi().model(.q4)
        let engine = try Engine(model, threads: 2)
        let (a, b) = (try Session(engine), try Session(engine, context: 16))
        let alone = try Session(model, threads: 1)
        try engine.append([(a, [1, 2, 3]), (b, [4, 5])])
        try a.append(6)
        #expect(b.withLogits { _ in } == nil, "the engine's logits are a's now")
        try b.append([7, 8])
        try engine.append([(b, [9]), (a, [10])])
        try alone.append([1, 2, 3, 6, 10])
        #expect(bits(a) == bits(alone))
        alone.truncate(to: 0)
        try alone.append([4, 5, 7, 8, 9])
        #expect(bits(b) == bits(alone))
    }

    @Test
    func tokensThatDoNotFitChangeNothing() throws {
        let engine = try Engine(TinyPhi().model(.q4), context: 32, threads: 1)
        let (a, b) = (try Session(engine), try Session(engine, context: 4))
        try engine.append([(a, [1]), (b, [1, 2])])
        let before = (bits(a), bits(b))
        #expect(throws: SessionError.doesNotFit(5, limit: 4)) { try engine.append([(a, [5]), (b, [1, 2, 3])]) }
        #expect(throws: SessionError.notAToken(290, vocabulary: 290)) { try engine.append([(a, [5]), (b, [290])]) }
        #expect(throws: SessionError.contextOutOfRange(33, limit: 32)) { try Session(engine, context: 33) }
        #expect(a.tokens == [1] && b.tokens == [1, 2])
        #expect(bits(a) == before.0 && bits(b) == before.1)
    }

    @Test
    func sessionsThatCannotShareAStepChangeNothing() throws {
        let model = try TinyPhi().model(.q4)
        let (engine, other) = (try Engine(model, context: 4, threads: 1), try Engine(model, context: 4, threads: 1))
        let sessions = try (0...Engine.sessionsAtOnce).map { _ in try Session(engine) }
        let foreign = try Session(other)
        try engine.append([(sessions[0], [1])])
        let before = bits(sessions[0])
        #expect(throws: SessionError.tooManySessions(sessions.count)) { try engine.append(sessions.map { ($0, [1]) }) }
        #expect(throws: SessionError.sessionOfAnotherEngine) {
            try engine.append([(sessions[0], [1]), (foreign, [1])])
        }
        #expect(throws: SessionError.repeatedSession) { try engine.append([(sessions[0], [1]), (sessions[0], [2])]) }
        #expect(sessions.map(\.tokens.count) == [1] + sessions.dropFirst().map { _ in 0 } && foreign.tokens.isEmpty)
        #expect(bits(sessions[0]) == before)
    }

    @Test
    func anEngineServesAsManySessionsAsItStates() throws {
        let model = try TinyPhi().model(.q8)
        let engine = try Engine(model, context: 8, threads: 2)
        let sessions = try (0..<Engine.sessionsAtOnce).map { _ in try Session(engine) }
        for step in 0..<3 {
            try engine.append(sessions.enumerated().map { ($1, [TokenID(($0 + step) % 290)]) })
        }
        let alone = try Session(model, threads: 1)
        for (n, session) in sessions.enumerated() where n % 9 == 0 {
            alone.truncate(to: 0)
            for step in 0..<3 { try alone.append(TokenID((n + step) % 290)) }
            #expect(bits(session) == bits(alone))
        }
    }

    /// The head's inputs keep about 15 bits: with its weights in integers, logits are those of the same weights in floats, to a
    /// fiftieth of what inputs of 8 bits would lose.
    @Test(arguments: [TensorEncoding.q3, .q4, .q8], [64, 96, 320])
    func aQuantisedHeadKeepsThePrecisionOfItsInputs(_ encoding: TensorEncoding, _ hidden: Int) throws {
        let phi = TinyPhi(hidden: hidden)
        func logits(_ head: TinyPhi.Head) throws -> [Float] {
            let session = try Session(phi.model(.f32, head: head), threads: 1)
            var all: [Float] = []
            try session.append((0..<40).map { $0 * 7 % 290 }) { _, logits in all += logits }
            return all
        }
        let found = try logits(.encoded(encoding)), expected = try logits(.rounded(encoding))
        let deviation = (expected.reduce(0) { $0 + $1 * $1 } / Float(expected.count)).squareRoot()
        let worst = zip(found, expected).reduce(0) { max($0, abs($1.0 - $1.1)) }
        #expect(found.count == expected.count && worst < 2.5e-4 * deviation, "\(worst / deviation)")
    }
}
