import Phi
import PhiCommandSupport
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

    @Test func aContinuedSequenceIsTakenAndABranchIsCopied() throws {
        var cache = PrefixCache(limit: 1 << 30)
        let sequence = try session(0..<20)
        cache.insert(sequence)
        let bytes = cache.bytes
        #expect(cache.count == 1 && bytes > 0)
        let branch = try #require(try cache.session(for: Array(0..<12) + [99, 98], running: []))
        #expect(branch !== sequence && branch.tokens == Array(0..<12) && cache.count == 1)
        // All but the last token, whose logits are wanted.
        let same = try #require(try cache.session(for: Array(0..<20), running: []))
        #expect(same !== sequence && same.tokens == Array(0..<19))
        let longer = try #require(try cache.session(for: Array(0..<25), running: []))
        #expect(longer === sequence && cache.count == 0 && cache.bytes == 0)
        #expect(try cache.session(for: Array(0..<25), running: []) == nil)
    }

    @Test func runningSequencesAreCopied() throws {
        var cache = PrefixCache(limit: 1 << 30)
        cache.insert(try session(0..<10))
        let running = try session(0..<16)
        let copy = try #require(try cache.session(for: Array(0..<18), running: [running]))
        #expect(copy !== running && copy.tokens == Array(0..<16))
        #expect(try cache.session(for: [0, 1, 2, 77], running: [running]) == nil, "three tokens are not worth a copy")
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
            _ = try cache.session(for: Array(0..<30) + [1], running: [])
        }
        #expect(cache.count == 2 && cache.bytes == 2 * size)
        #expect(try cache.session(for: Array(0..<30) + [1], running: []) != nil)
        #expect(try cache.session(for: Array(100..<130), running: []) == nil)
        #expect(try cache.session(for: Array(200..<230), running: []) != nil)
        // A session that another contains is dropped; one that does not fit is not inserted.
        cache.insert(try session(0..<62))
        #expect(cache.count == 2)
        var small = PrefixCache(limit: size - 1)
        small.insert(one)
        #expect(small.count == 0 && small.bytes == 0)
    }
}
