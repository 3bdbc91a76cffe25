import Phi
import PhiTokenizer

/// The sessions of finished sequences, whose KV caches serve prompts with the same prefix; the least recently used is evicted
/// first.
///
/// Used by the engine's thread only.
package struct PrefixCache {
    /// Bytes of KV cache that it may hold.
    let limit: Int
    /// Bytes of KV cache that it holds.
    package private(set) var bytes = 0
    private var entries: [Entry] = []
    private var clock = 0

    private struct Entry {
        let session: Session
        let bytes: Int
        var lastUse: Int
    }

    package init(limit: Int) { self.limit = limit }

    /// Sessions that it holds.
    package var count: Int { entries.count }

    /// The length of the common prefix of `tokens` and `prompt`, at most `prompt` without its last token, which must be
    /// computed for its logits.
    static func shared(_ tokens: [TokenID], _ prompt: [TokenID]) -> Int {
        min(zip(tokens, prompt).prefix { $0 == $1 }.count, prompt.count - 1)
    }

    /// Returns a session that holds the longest prefix of `prompt` found in the cache or among `running`: the cached session
    /// itself if the prompt continues all of it, else a copy of the prefix. Nil when no prefix is worth a copy. Throws
    /// ``SessionError`` when memory for a copy is short.
    package mutating func session(for prompt: [TokenID], running: [Session]) throws(SessionError) -> Session? {
        let cached = entries.indices.map { ($0, Self.shared(entries[$0].session.tokens, prompt)) }.max { $0.1 < $1.1 }
        let live = running.map { ($0, Self.shared($0.tokens, prompt)) }.max { $0.1 < $1.1 }
        if let (source, count) = live, count >= Self.fewest, count > cached?.1 ?? 0 {
            return try source.fork(first: count)
        }
        guard let (index, count) = cached, count >= Self.fewest else { return nil }
        clock += 1
        entries[index].lastUse = clock
        let source = entries[index].session
        guard source.tokens.count == count else { return try source.fork(first: count) }
        remove(index)
        return source
    }

    /// The fewest tokens that are copied faster than computed.
    private static let fewest = 4

    /// Adds a finished sequence's session, if it fits.
    package mutating func insert(_ session: Session) {
        let size = session.residentBytes
        guard session.tokens.count >= Self.fewest, size <= limit else { return }
        // Sessions that the new one contains are redundant.
        for index in entries.indices.reversed() where session.tokens.starts(with: entries[index].session.tokens) {
            remove(index)
        }
        clock += 1
        entries.append(Entry(session: session, bytes: size, lastUse: clock))
        bytes += size
        while bytes > limit, let oldest = entries.indices.min(by: { entries[$0].lastUse < entries[$1].lastUse }) {
            remove(oldest)
        }
    }

    private mutating func remove(_ index: Int) {
        bytes -= entries[index].bytes
        entries.remove(at: index)
    }
}
