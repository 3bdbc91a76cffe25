import Phi
import PhiTokenizer

/// Finished texts whose keys and values are kept for prompts that begin like them, the longest unused thrown out first.
///
/// Used by the engine's thread only.
package struct PrefixCache {
    /// Bytes of keys and values that it may hold.
    let limit: Int
    /// Bytes that it holds.
    package private(set) var bytes = 0
    private var texts: [Text] = []
    private var clock = 0

    private struct Text {
        let session: Session
        let bytes: Int
        var lastUse: Int
    }

    package init(limit: Int) { self.limit = limit }

    /// Texts that it holds.
    package var count: Int { texts.count }

    /// How many of `prompt`'s first tokens `tokens` begin with, at most all but the last, which is read again for its logits.
    static func shared(_ tokens: [TokenID], _ prompt: [TokenID]) -> Int {
        min(zip(tokens, prompt).prefix { $0 == $1 }.count, prompt.count - 1)
    }

    /// A session that holds the longest beginning of `prompt` that there is, here or among `running`: taken out of here if the
    /// prompt goes on where it ends, else copied. Nil when nothing is worth it. Throws ``SessionError`` when there is no
    /// memory for a copy.
    package mutating func session(for prompt: [TokenID], running: [Session]) throws(SessionError) -> Session? {
        let here = texts.indices.map { ($0, Self.shared(texts[$0].session.tokens, prompt)) }.max { $0.1 < $1.1 }
        let there = running.map { ($0, Self.shared($0.tokens, prompt)) }.max { $0.1 < $1.1 }
        if let (source, count) = there, count >= Self.fewest, count > here?.1 ?? 0 {
            return try source.fork(first: count)
        }
        guard let (index, count) = here, count >= Self.fewest else { return nil }
        clock += 1
        texts[index].lastUse = clock
        let source = texts[index].session
        guard source.tokens.count == count else { return try source.fork(first: count) }
        bytes -= texts[index].bytes
        texts.remove(at: index)
        return source
    }

    /// Fewer tokens are as soon read as copied.
    private static let fewest = 4

    /// Keeps a finished text's session, if it fits.
    package mutating func insert(_ session: Session) {
        let size = session.filledCacheBytes
        guard session.tokens.count >= Self.fewest, size <= limit else { return }
        // One that it goes on from, or that is the same, has nothing that it has not.
        for index in texts.indices.reversed() where session.tokens.starts(with: texts[index].session.tokens) {
            remove(index)
        }
        clock += 1
        texts.append(Text(session: session, bytes: size, lastUse: clock))
        bytes += size
        while bytes > limit, let oldest = texts.indices.min(by: { texts[$0].lastUse < texts[$1].lastUse }) {
            remove(oldest)
        }
    }

    private mutating func remove(_ index: Int) {
        bytes -= texts[index].bytes
        texts.remove(at: index)
    }
}
