import Phi
import PhiFormat
import PhiTokenizer
import PhiTestSupport
import Testing

struct SnapshotTests {
    private func bits(_ session: Session) -> [UInt32]? { session.withLogits { $0.map(\.bitPattern) } }

    @Test(arguments: ForkTests.shapes, CacheEncoding.allCases)
    func restoredSnapshotsEqualComputedState(_ shape: TinyPhi, _ cache: CacheEncoding) throws {
        let model = try shape.model(.q8)
        let ids = Seeded.ids(120, vocabulary: model.config.vocabulary)
        let fresh = try Session(model, threads: 1, cache: cache)
        try fresh.append(ids)
        for count in ForkTests.counts {
            let saved = fresh.save(first: count)
            // Another text before it, another context, another engine.
            let session = try Session(model, context: max(1, count) + 20, threads: 1, cache: cache)
            try session.append(ids.reversed().prefix(count + 3))
            try session.restore(saved)
            #expect(session.tokens == Array(ids.prefix(count)))
            #expect(bits(session) == nil)
            #expect(session.save() == saved, "one text, one row of bytes")
            let rest = ids[count...].prefix(20)
            try session.append(rest)
            let plain = try Session(model, threads: 1, cache: cache)
            try plain.append(ids.prefix(count) + rest)
            #expect(bits(session) == bits(plain), "after \(count)")
        }
    }

    @Test
    func damagedSnapshotsAreRefused() throws {
        let model = try TinyPhi().model(.q4)
        let session = try Session(model, threads: 1)
        try session.append(Seeded.ids(20, vocabulary: 250))
        let saved = session.save()
        let reader = try Session(model, threads: 1)
        try reader.append([7, 8])
        let before = bits(reader)
        func expect(_ error: SnapshotError, _ bytes: [UInt8], _ comment: Comment? = nil) {
            #expect(throws: error, comment) { try reader.restore(bytes) }
        }
        expect(.notASnapshot, [])
        expect(.notASnapshot, Array("a text".utf8))
        for length in stride(from: 1, to: saved.count, by: saved.count / 97) {
            expect(.damaged, Array(saved[..<length]))
        }
        expect(.damaged, Array(saved.dropLast()))
        expect(.damaged, saved + [0])
        for place in Array(0..<128) + Array(stride(from: 128, to: saved.count, by: 1009)) + [saved.count - 1] {
            var altered = saved
            altered[place] ^= 0x10
            let error: SnapshotError =
                place < 8 ? .notASnapshot : place < 12 ? .unknownVersion(2 ^ 0x10 << (8 * (place - 8))) : .damaged
            expect(error, altered, "byte \(place)")
        }
        #expect(reader.tokens == [7, 8])
        #expect(bits(reader) == before)
    }

    @Test
    func foreignSnapshotsAreRefused() throws {
        let model = try TinyPhi().model(.q4)
        let session = try Session(model, threads: 1)
        try session.append(Seeded.ids(20, vocabulary: 250))
        let saved = session.save()
        let other = try Session(TinyPhi(layers: 3).model(.q4), threads: 1)
        #expect(throws: SnapshotError.otherModel) { try other.restore(saved) }
        let exact = try Session(model, threads: 1, cache: .f32)
        #expect(throws: SnapshotError.otherCacheEncoding(.q8, session: .f32)) { try exact.restore(saved) }
        let small = try Session(model, context: 19, threads: 1)
        #expect(throws: SnapshotError.doesNotFit(20, limit: 19)) { try small.restore(saved) }
        #expect(small.tokens.isEmpty)
    }

    /// A hash is no signature: a forged snapshot may spoil completions, but nothing else.
    @Test
    func soundHashesAroundNonsenseBreakNothing() throws {
        let model = try TinyPhi().model(.q4)
        let session = try Session(model, threads: 1)
        try session.append(Seeded.ids(5, vocabulary: 250))
        let saved = session.save()
        func forged(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
            var bytes = Array(saved.dropLast(32))
            change(&bytes)
            return bytes + bytes.withUnsafeBytes { SHA256Digest($0).bytes }
        }
        let reader = try Session(model, threads: 1)
        for place in 24..<32 {
            let bytes = forged { $0[place] = 0xff }
            #expect(throws: SnapshotError.self) { try reader.restore(bytes) }
        }
        for count: UInt8 in [0, 4, 6, 128] {
            #expect(throws: SnapshotError.damaged) { try reader.restore(forged { $0[24] = count }) }
        }
        #expect(throws: SnapshotError.damaged) { try reader.restore(forged { $0[12] = 3 }) }
        #expect(throws: SnapshotError.damaged) { try reader.restore(forged { $0[99] = 0x80 }) }
        #expect(reader.tokens.isEmpty)
        try reader.restore(forged { bytes in for place in 116..<bytes.count { bytes[place] = 0xff } })
        try reader.append([1])
    }
}
