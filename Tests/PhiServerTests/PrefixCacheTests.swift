import Phi
import PhiCommandSupport
import PhiFormat
import PhiServer
import Testing

struct PrefixCacheTests {
    private let engine: Engine

    init() throws { engine = try Engine(LanguageModel(ModelOptions.open(nil)), threads: 1) }

    private func session(_ tokens: Range<Int32>) throws -> Session {
        let session = try Session(engine)
        try session.append(tokens)
        return session
    }

    private func new() throws(SessionError) -> Session { try Session(engine) }

    @Test func aContinuedSequenceIsTakenAndABranchIsCopied() throws {
        var cache = PrefixCache(limit: 1 << 30)
        let sequence = try session(0..<20)
        cache.insert(sequence)
        let bytes = cache.bytes
        #expect(cache.count == 1 && bytes > 0)
        let branch = try #require(try cache.session(for: Array(0..<12) + [99, 98], running: [], make: new))
        #expect(branch !== sequence && branch.tokens == Array(0..<12) && cache.count == 1)
        // All but the last token, whose logits are wanted.
        let same = try #require(try cache.session(for: Array(0..<20), running: [], make: new))
        #expect(same !== sequence && same.tokens == Array(0..<19))
        let longer = try #require(try cache.session(for: Array(0..<25), running: [], make: new))
        #expect(longer === sequence && cache.count == 0 && cache.bytes == 0)
        #expect(try cache.session(for: Array(0..<25), running: [], make: new) == nil)
    }

    @Test func runningSequencesAreCopied() throws {
        var cache = PrefixCache(limit: 1 << 30)
        cache.insert(try session(0..<10))
        let running = try session(0..<16)
        let live = [(session: running, scope: CacheScope())]
        let copy = try #require(try cache.session(for: Array(0..<18), running: live, make: new))
        #expect(copy !== running && copy.tokens == Array(0..<16))
        #expect(
            try cache.session(for: [0, 1, 2, 77], running: live, make: new) == nil, "three tokens are not worth a copy")
    }

    @Test func theLeastRecentlyUsedIsEvicted() throws {
        let one = try session(0..<64)
        var cache = PrefixCache(limit: 1 << 30)
        cache.insert(one)
        let size = cache.bytes
        cache = PrefixCache(limit: 2 * size)
        for start in [0, 100, 200] as [Int32] {
            cache.insert(try session(start..<start + 60))
            // The first one is used again and again.
            _ = try cache.session(for: Array(0..<30) + [1], running: [], make: new)
        }
        #expect(cache.count == 2 && cache.bytes == 2 * size)
        #expect(try cache.session(for: Array(0..<30) + [1], running: [], make: new) != nil)
        #expect(try cache.session(for: Array(100..<130), running: [], make: new) == nil)
        #expect(try cache.session(for: Array(200..<230), running: [], make: new) != nil)
        // A session that another contains is dropped; one that does not fit is not inserted.
        cache.insert(try session(0..<62))
        #expect(cache.count == 2)
        var small = PrefixCache(limit: size - 1)
        small.insert(one)
        #expect(small.count == 0 && small.bytes == 0)
    }

    @Test func otherScopesSeeNothing() throws {
        let keys = ["first", "second"].map { key in Array(key.utf8).withUnsafeBytes { SHA256Digest($0) } }
        let own = CacheScope(key: keys[0], salts: ["a", ""])
        let others = [
            CacheScope(), CacheScope(key: keys[1], salts: ["a", ""]), CacheScope(key: keys[0]),
            CacheScope(key: keys[0], salts: ["", "a"]), CacheScope(key: keys[0], salts: ["a", "b"]),
        ]
        var cache = PrefixCache(limit: 1 << 30)
        cache.insert(try session(0..<20), of: own)
        let running = [(session: try session(0..<30), scope: own)]
        for other in others {
            let found = try cache.session(for: Array(0..<40), of: other, running: running, make: new)
            #expect(found == nil, "\(other)")
        }
        // Nor do they take the place of another's.
        for other in others { cache.insert(try session(0..<25), of: other) }
        #expect(cache.count == 6)
        #expect(try cache.session(for: Array(0..<40), of: own, running: running, make: new)?.tokens == Array(0..<30))
    }

    @Test func oneKeyCannotPushOutAnothers() throws {
        let keys = ["busy", "quiet"].map { key in
            CacheScope(key: Array(key.utf8).withUnsafeBytes { SHA256Digest($0) })
        }
        var probe = PrefixCache(limit: 1 << 30)
        probe.insert(try session(0..<60))
        var cache = PrefixCache(limit: 5 * probe.bytes)
        for start in [0, 100] as [Int32] { cache.insert(try session(start..<start + 60), of: keys[1]) }
        for start in stride(from: 0, to: 1800, by: 100) as StrideTo<Int32> {
            let salted = CacheScope(key: keys[0].key, salts: ["\(start)"])
            cache.insert(try session(start..<start + 60), of: salted)
        }
        #expect(cache.count == 5)
        for start in [0, 100] as [Int32] {
            let found = try cache.session(for: Array(start..<start + 30), of: keys[1], running: [], make: new)
            #expect(found != nil, "\(start)")
        }
    }
}
