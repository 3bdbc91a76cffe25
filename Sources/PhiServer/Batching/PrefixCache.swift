import Phi
import PhiTokenizer

/// The sessions of finished sequences, whose KV caches serve prompts of the same ``CacheScope`` with the same prefix.
///
/// Used by the engine's thread only.
package struct PrefixCache {
    /// Bytes of memory that it may hold.
    let limit: Int
    /// Bytes of memory that it holds.
    package var bytes: Int { entries.bytes }
    /// Where prefixes are saved before they leave.
    let directory: PrefixDirectory?
    private var entries: [Entry] = []
    private var clock = 0

    private struct Entry: CachedPrefix {
        let session: Session
        let scope: CacheScope
        let bytes: Int
        var lastUse: Int
        /// Its way to the directory, once begun.
        var saving: PrefixDirectory.Saving?

        var owner: CacheScope { CacheScope(key: scope.key) }
        /// Whether another thread reads the session.
        var isBeingRead: Bool { saving.map { !$0.isDone } ?? false }
    }

    package init(limit: Int, directory: PrefixDirectory? = nil) { (self.limit, self.directory) = (limit, directory) }

    /// Sessions that it holds.
    package var count: Int { entries.count }

    /// The length of the common prefix of `tokens` and `prompt`, at most `prompt` without its last token, which must be
    /// computed for its logits.
    static func shared(_ tokens: [TokenID], _ prompt: [TokenID]) -> Int {
        min(zip(tokens, prompt).prefix { $0 == $1 }.count, prompt.count - 1)
    }

    /// Returns a session that holds the longest prefix of `prompt` found in the cache, among `running` or in the directory: the
    /// cached session itself if the prompt continues all of it, else a copy of the prefix, or a session of `make` that was
    /// restored. Nil when no prefix is worth a copy. Throws ``SessionError`` when memory for a copy is short.
    package mutating func session(
        for prompt: [TokenID], of scope: CacheScope = CacheScope(), running: [(session: Session, scope: CacheScope)],
        make: () throws(SessionError) -> Session
    ) throws(SessionError) -> Session? {
        let own = entries.indices.filter { entries[$0].scope == scope }
        let cached = own.map { ($0, Self.shared(entries[$0].session.tokens, prompt)) }.max { $0.1 < $1.1 }
        let live = running.filter { $0.scope == scope }.map { ($0.session, Self.shared($0.session.tokens, prompt)) }
            .max { $0.1 < $1.1 }
        let longest = max(cached?.1 ?? 0, live?.1 ?? 0)
        if let restored = try directory?.session(for: prompt, of: scope, longerThan: longest, make: make) {
            return restored
        }
        if let (source, count) = live, count >= Self.fewest, count > cached?.1 ?? 0 {
            return try source.fork(first: count)
        }
        guard let (index, count) = cached, count >= Self.fewest else { return nil }
        clock += 1
        entries[index].lastUse = clock
        let source = entries[index].session
        guard source.tokens.count == count, !entries[index].isBeingRead else { return try source.fork(first: count) }
        entries.remove(at: index)
        return source
    }

    /// The fewest tokens that are copied faster than computed.
    private static let fewest = 4

    /// Adds a finished sequence's session. One that does not fit is saved in the directory, if that has time.
    package mutating func insert(_ session: Session, of scope: CacheScope = CacheScope()) {
        let size = session.residentBytes
        guard session.tokens.count >= Self.fewest else { return }
        guard size <= limit else {
            if let directory, !directory.isBusy { _ = directory.save(session, of: scope) }
            return
        }
        // Sessions that the new one contains are redundant.
        for index in entries.indices.reversed()
        where entries[index].scope == scope && session.tokens.starts(with: entries[index].session.tokens) {
            entries.remove(at: index)
        }
        clock += 1
        entries.append(Entry(session: session, scope: scope, bytes: size, lastUse: clock))
        while bytes > limit, let next = entries.nextToLeave { entries.remove(at: next) }
    }

    /// Begins to save the prefix that leaves soonest, if that may be soon and the directory has time.
    mutating func saveNext() {
        guard let directory, bytes > limit / 4 * 3, !directory.isBusy else { return }
        let unsaved = entries.indices.filter { entries[$0].saving == nil }
        guard let next = unsaved.map({ entries[$0] }).nextToLeave else { return }
        let entry = entries[unsaved[next]]
        entries[unsaved[next]].saving = directory.save(entry.session, of: entry.scope)
    }

    /// Saves what is not saved yet, the most recently used last, before the process ends.
    package mutating func saveAll() {
        for index in entries.indices.sorted(by: { entries[$0].lastUse < entries[$1].lastUse })
        where entries[index].saving == nil {
            entries[index].saving = directory?.save(entries[index].session, of: entries[index].scope)
        }
        directory?.finish()
    }
}
