import Dispatch
import Phi
import PhiFormat
import PhiSystem
import PhiTokenizer
import Synchronization

/// Snapshots of prefixes in a directory, for the time after a restart and for more of them than memory holds.
///
/// The directory is this process's alone, by a lock, and this user's alone, by its mode. A file's name tells its API key and its
/// ``CacheScope``, hashed with the directory's own salt. Whatever is wrong with a file is reported in one line, and the prefix is
/// computed. Any thread may use it.
package final class PrefixDirectory: Sendable {
    private struct Entry: CachedPrefix {
        let name: FileName
        /// Empty where this server cannot use them.
        let tokens: [TokenID]
        let bytes: Int
        var lastUse: Int
        var owner: String { name.owner }
    }

    private struct State {
        var entries: [Entry] = []
        var clock = 0
        var waiting = 0
        /// Whether writing has failed, or the time for it is over.
        var isReadOnly = false
        /// Whether a prefix was larger than the limit.
        var hasRefused = false
    }

    /// The progress of one prefix to the directory.
    package final class Saving: Sendable {
        private let done = Atomic<Bool>(false)
        /// Whether its session is no longer read.
        var isDone: Bool { done.load(ordering: .acquiring) }
        fileprivate func end() { done.store(true, ordering: .releasing) }
    }

    /// The fewest tokens more for which a file is read, and the fewest that are saved.
    package static let fewest = 64

    private let path: FilePath
    private let limit: Int
    private let salt: [UInt8]
    private let model: LanguageModel
    private let encoding: CacheEncoding
    private let context: Int
    private let report: @Sendable (String) -> Void
    /// The open directory, for its lock.
    private let lock: Int32
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "prefixes")

    /// Opens the directory, and makes it if there is none. At most `limit` bytes of snapshots are in it. Throws ``FormatError`` when
    /// it cannot be made, another user has access to it, or another process uses it.
    package init(
        _ path: FilePath, limit: Int, _ model: LanguageModel, _ encoding: CacheEncoding, context: Int,
        report: @escaping @Sendable (String) -> Void
    ) throws(FormatError) {
        (self.path, self.limit, self.model, self.encoding) = (path, limit, model, encoding)
        (self.context, self.report) = (context, report)
        guard !path.bytes.contains(0) else { throw FormatError(path, "is not a path: it holds a zero byte") }
        if path.withCString({ mkdir($0, 0o700) }) != 0, errno != EEXIST {
            throw FormatError(path, "cannot be made: \(String(cString: strerror(errno)))")
        }
        lock = path.withCString { open($0, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) }
        guard lock >= 0 else {
            throw FormatError(path, PathKind.isLink(path) ? "is a link, which is not followed" : "is not a directory")
        }
        do throws(FormatError) {
            _ = try Ownership.check(lock, path, S_IFDIR, noOther: .any)
            guard flock(lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK else {
                throw FormatError(path, "is used by another phi-server")
            }
            salt = try Self.salt(path.appending("salt"))
        } catch {
            close(lock)
            throw error
        }
        try find()
    }

    deinit { closeLocked(lock) }

    /// The directory's own random bytes, made once.
    private static func salt(_ path: FilePath) throws(FormatError) -> [UInt8] {
        if let file = try ReadableFile(ownAt: path), file.size == 32 { return try file.readAll(limit: 32) }
        var random = SystemRandomNumberGenerator()
        let salt = (0..<32).map { _ in UInt8.random(in: 0...255, using: &random) }
        let file = try AtomicFile(path, overwrite: true, mode: 0o600)
        try file.append(salt)
        try file.commit()
        return salt
    }

    // MARK: Prefixes

    /// Bytes of the snapshots in the directory.
    package var bytes: Int { state.withLock { $0.entries.bytes } }

    /// Snapshots in the directory.
    package var count: Int { state.withLock { $0.entries.count } }

    /// Whether a prefix waits to be saved, or none can be.
    var isBusy: Bool { state.withLock { $0.waiting > 0 || $0.isReadOnly } }

    /// Restores the longest prefix of `prompt` in a session of `make`, if it is worth reading where one of `known` tokens is at
    /// hand. Throws ``SessionError`` when memory for the session is short.
    func session(
        for prompt: [TokenID], of scope: CacheScope, longerThan known: Int, make: () throws(SessionError) -> Session
    ) throws(SessionError) -> Session? {
        // Shorter prompts need no hash.
        guard prompt.count > known + Self.fewest else { return nil }
        let name = scopeName(scope)
        let found = state.withLock { state -> (name: FileName, shared: Int)? in
            let own = state.entries.indices.filter { state.entries[$0].name.scope == name }
            let best = own.map { ($0, PrefixCache.shared(state.entries[$0].tokens, prompt)) }.max { $0.1 < $1.1 }
            guard let (index, shared) = best, shared >= known + Self.fewest else { return nil }
            state.clock += 1
            state.entries[index].lastUse = state.clock
            return (state.entries[index].name, shared)
        }
        guard let found else { return nil }
        let file = path.appending(found.name.text)
        let session = try make()
        do throws(SnapshotError) {
            guard try session.restore(from: file) else { throw .file(FormatError(file, "is gone")) }
        } catch {
            report(Self.line(file, error))
            // Not a file of others, which may be anything.
            if case .file = error { drop(found.name) } else { delete(found.name) }
            return nil
        }
        session.truncate(to: found.shared)
        _ = file.withCString { utimensat(AT_FDCWD, $0, nil, AT_SYMLINK_NOFOLLOW) }
        return session
    }

    /// Begins to save a session, which must not change until that is done.
    func save(_ session: Session, of scope: CacheScope) -> Saving {
        let saving = Saving()
        guard session.tokens.count >= Self.fewest else {
            saving.end()
            return saving
        }
        state.withLock { $0.waiting += 1 }
        // Read by the queue alone until `saving` ends.
        nonisolated(unsafe) let session = session
        queue.async { [self] in
            if !state.withLock({ $0.isReadOnly }) { write(session, scope) }
            saving.end()
            state.withLock { $0.waiting -= 1 }
        }
        return saving
    }

    /// Waits until what has been saved is in the directory, for a few seconds, and leaves the directory to others.
    func finish() {
        let done = DispatchSemaphore(value: 0)
        queue.async { done.signal() }
        if done.wait(timeout: .now() + 10) == .timedOut {
            state.withLock { $0.isReadOnly = true }
            report("\(path): there was no time to save all prefixes")
            done.wait()
        }
        _ = flock(lock, LOCK_UN)
    }

    private func write(_ session: Session, _ scope: CacheScope) {
        let tokens = session.tokens
        let name = FileName(
            owner: ownerName(scope), scope: scopeName(scope),
            // Snapshots of other models and encodings are other files.
            id: hash([
                tokens.withUnsafeBytes { Array($0) }, model.file.digest.bytes, Array("\(encoding)".utf8),
            ]))
        let size = session.snapshotSize()
        guard size <= limit else {
            let isFirst = state.withLock { state in
                defer { state.hasRefused = true }
                return !state.hasRefused
            }
            if isFirst { report("\(path): a prefix of \(size) bytes is not saved: the limit of all is \(limit)") }
            return
        }
        let isThere = state.withLock { state in
            let own = state.entries.filter { $0.name.scope == name.scope }
            return own.contains { $0.tokens.starts(with: tokens) }
        }
        if isThere { return }
        makeRoom(for: size)
        do throws(SnapshotError) {
            try session.save(to: path.appending(name.text))
        } catch {
            state.withLock { $0.isReadOnly = true }
            return report("\(error); no more prefixes are saved")
        }
        let redundant = state.withLock { state in
            state.clock += 1
            // Those that this server cannot use are not known by their tokens.
            let contained = state.entries.filter {
                $0.name.scope == name.scope && !$0.tokens.isEmpty && tokens.starts(with: $0.tokens)
            }
            // A file of this name that this server could not use, such as another version's, has been replaced.
            state.entries.removeAll { $0.name == name }
            state.entries.append(Entry(name: name, tokens: tokens, bytes: size, lastUse: state.clock))
            return contained.map(\.name)
        }
        for name in redundant { delete(name) }
    }

    /// Deletes snapshots until `size` bytes more, at most the limit, keep it.
    private func makeRoom(for size: Int) {
        while let name = state.withLock({ state -> FileName? in
            guard state.entries.bytes > limit - size, let next = state.entries.nextToLeave else { return nil }
            return state.entries[next].name
        }) {
            delete(name)
        }
    }

    private func delete(_ name: FileName) {
        _ = path.appending(name.text).withCString { unlink($0) }
        drop(name)
    }

    private func drop(_ name: FileName) {
        state.withLock { state in
            guard let index = state.entries.firstIndex(where: { $0.name == name }) else { return }
            state.entries.remove(at: index)
        }
    }

    // MARK: Files

    /// Finds what earlier processes have left.
    private func find() throws(FormatError) {
        var found: [(entry: Entry, time: timespec)] = []
        for file in try PathKind.contents(of: path) {
            // Nobody else writes here, so what is not complete never will be.
            if FileName.isPart(file.name) { _ = file.withCString { unlink($0) } }
            guard let name = FileName(file.name) else { continue }
            do throws(SnapshotError) {
                guard let snapshot = try Snapshot(file) else { continue }
                let header = try snapshot.header()
                let isUsable = (try? header.check(model, encoding)) != nil && header.count <= context
                let tokens = isUsable ? try snapshot.tokens(header.count, vocabulary: model.config.vocabulary) : []
                var status = stat()
                guard file.withCString({ lstat($0, &status) }) == 0 else { continue }
                let entry = Entry(name: name, tokens: tokens, bytes: snapshot.size, lastUse: 0)
                found.append((entry, status.modified))
            } catch {
                report(Self.line(file, error))
                if case .file = error { continue }
                _ = file.withCString { unlink($0) }
            }
        }
        found.sort { ($0.time.tv_sec, $0.time.tv_nsec) < ($1.time.tv_sec, $1.time.tv_nsec) }
        state.withLock { state in
            for (number, (entry, _)) in found.enumerated() {
                state.entries.append(entry)
                state.entries[number].lastUse = number
            }
            state.clock = found.count
        }
        makeRoom(for: 0)
    }

    private static func line(_ file: FilePath, _ error: SnapshotError) -> String {
        if case .file(let error) = error { return "\(error); its prefix is computed" }
        return "\(file): \(error); its prefix is computed"
    }

    private func ownerName(_ scope: CacheScope) -> String { hash([scope.key?.bytes ?? []]) }
    private func scopeName(_ scope: CacheScope) -> String {
        hash([scope.key?.bytes ?? []] + scope.salts.map { Array($0.utf8) })
    }

    /// 128 bits of a hash of the directory's salt and `parts`, in hexadecimal.
    private func hash(_ parts: [[UInt8]]) -> String {
        var hash = SHA256Hash()
        for part in [salt] + parts {
            withUnsafeBytes(of: part.count) { hash.add($0) }
            part.withUnsafeBytes { hash.add($0) }
        }
        return String(hash.digest().description.prefix(FileName.digits))
    }
}

/// The name of a snapshot's file: `OWNER-SCOPE-TOKENS.prefix`, each 32 hexadecimal digits.
private struct FileName: Equatable {
    static let digits = 32
    private static let ending = ".prefix"
    let owner, scope, id: String

    var text: String { "\(owner)-\(scope)-\(id)\(Self.ending)" }

    init(owner: String, scope: String, id: String) { (self.owner, self.scope, self.id) = (owner, scope, id) }

    init?(_ text: String) {
        let parts = text.dropLast(Self.ending.count).split(separator: "-", omittingEmptySubsequences: false)
        let isName = parts.allSatisfy { $0.utf8.count == Self.digits && $0.allSatisfy("0123456789abcdef".contains) }
        guard text.hasSuffix(Self.ending), parts.count == 3, isName else { return nil }
        (owner, scope, id) = (String(parts[0]), String(parts[1]), String(parts[2]))
    }

    /// Whether `text` is the name of an ``AtomicFile`` on its way to such a name.
    static func isPart(_ text: String) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[3] == "part" && FileName("\(parts[0]).\(parts[1])") != nil
    }
}

extension stat {
    /// When the file was changed.
    fileprivate var modified: timespec {
        #if canImport(Darwin)
            return st_mtimespec
        #else
            return st_mtim
        #endif
    }
}
