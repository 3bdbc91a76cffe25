import PhiFormat
import PhiTokenizer

extension Session {
    /// Returns a snapshot of the first `count` tokens, by default all, and of their keys and values, for
    /// ``restore(_:)``. Equal sequences give equal bytes. A token of phi-1 with a q8 KV cache takes about 104 kB.
    public func save(first count: Int? = nil) -> [UInt8] {
        let size = snapshotSize(first: count)
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, written in
            save(
                first: count,
                into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<size]))
            written = size
        }
    }

    /// Returns the number of bytes of a snapshot of the first `count` tokens.
    package func snapshotSize(first count: Int? = nil) -> Int {
        let count = savedCount(count)
        return SnapshotLayout.size(tokens: count, cache.regions(of: count))
    }

    /// Writes a snapshot of the first `count` tokens to `memory`, whose size must be ``snapshotSize(first:)``.
    package func save(first count: Int? = nil, into memory: UnsafeMutableRawBufferPointer) {
        var written = 0
        SnapshotLayout.write(self, first: savedCount(count)) { bytes in
            UnsafeMutableRawBufferPointer(rebasing: memory[written..<written + bytes.count]).copyMemory(from: bytes)
            written += bytes.count
        }
    }

    /// Writes a snapshot of the first `count` tokens to a file that only its owner can read. It replaces a file of that name
    /// once it is complete and on the disk. Throws ``SnapshotError`` when it cannot be written.
    public func save(first count: Int? = nil, to path: String) throws(SnapshotError) {
        try save(first: count, to: FilePath(path))
    }

    package func save(first count: Int? = nil, to path: FilePath) throws(SnapshotError) {
        do throws(FormatError) {
            let file = try AtomicFile(path, overwrite: true, mode: 0o600)
            try SnapshotLayout.write(self, first: savedCount(count)) { bytes throws(FormatError) in
                try file.append(bytes)
            }
            try file.commit()
        } catch {
            throw .file(error)
        }
    }

    private func savedCount(_ count: Int?) -> Int { min(max(0, count ?? tokens.count), tokens.count) }

    /// Replaces the session's tokens, keys and values by those of a snapshot; later results are those of the saved
    /// session. There are no logits until the next append, which ``rewind(to:)`` and completions take care of.
    ///
    /// Throws ``SnapshotError``, leaving the session unchanged (without tokens, if a file changes while it is read), when the bytes
    /// are not an intact snapshot, the model file, the version of swift-phi or the encoding of the KV cache differs, or the tokens
    /// do not fit.
    public func restore(_ snapshot: [UInt8]) throws(SnapshotError) {
        try snapshot.withUnsafeBufferPointer { bytes throws(SnapshotError) in
            try restore(UnsafeRawBufferPointer(bytes))
        }
    }

    /// Restores a snapshot in memory that need not be an array.
    package func restore(_ snapshot: UnsafeRawBufferPointer) throws(SnapshotError) {
        try restore(Snapshot(snapshot))
    }

    /// Restores the snapshot in a file; returns false if there is no file. Throws as ``restore(_:)`` does, and when the file
    /// cannot be read, is a link, or is not this user's alone to write.
    public func restore(from path: String) throws(SnapshotError) -> Bool { try restore(from: FilePath(path)) }

    package func restore(from path: FilePath) throws(SnapshotError) -> Bool {
        guard let snapshot = try Snapshot(path) else { return false }
        try restore(snapshot)
        return true
    }

    private func restore(_ snapshot: Snapshot) throws(SnapshotError) {
        let header = try snapshot.header()
        // Before fields that select an error, so that damage is not reported as a mismatch. What is larger than any snapshot that fits
        // is refused by these below, and not read to its end.
        let most = SnapshotLayout.size(tokens: context, cache.regions(of: context))
        if snapshot.size <= most { try snapshot.checkDigest() }
        try header.check(model, cacheEncoding)
        guard header.count <= context else { throw .doesNotFit(header.count, limit: context) }
        let regions = cache.regions(of: header.count)
        guard SnapshotLayout.size(tokens: header.count, regions) == snapshot.size else { throw .damaged }
        let tokens = try snapshot.tokens(header.count, vocabulary: model.config.vocabulary)
        // A file that is changed after it was checked leaves no tokens.
        truncate(to: 0)
        var start = SnapshotLayout.headerBytes + 4 * header.count
        for region in regions {
            try snapshot.read(start, region.memory)
            start += region.memory.count
        }
        commit(restored: tokens)
    }
}

/// An error of a snapshot that cannot be restored or written.
public enum SnapshotError: Error, Equatable, CustomStringConvertible {
    /// The bytes are not a snapshot.
    case notASnapshot
    /// It was written in this version of the layout, which this version of swift-phi does not have.
    case unknownVersion(Int)
    /// Another version of swift-phi has computed its keys and values.
    case otherRelease
    /// It is truncated or altered: its length or its hash does not match.
    case damaged
    /// It was saved with another model file.
    case otherModel
    /// The encoding of its KV cache differs from the session's.
    case otherCacheEncoding(CacheEncoding, session: CacheEncoding)
    /// It has this many tokens, more than the session's context.
    case doesNotFit(Int, limit: Int)
    /// Its file cannot be read or written.
    case file(FormatError)

    /// The error in one line.
    public var description: String {
        switch self {
        case .notASnapshot: "not a session snapshot"
        case .unknownVersion(let version): "unsupported snapshot version \(version)"
        case .otherRelease: "the snapshot was made by another version of swift-phi"
        case .damaged: "the snapshot is truncated or altered"
        case .otherModel: "the snapshot belongs to another model file"
        case .otherCacheEncoding(let theirs, let ours):
            "the snapshot's KV cache is \(theirs.rawValue), the session's is \(ours.rawValue)"
        case .doesNotFit(let count, let limit): "the snapshot's \(count) tokens do not fit the context of \(limit)"
        case .file(let error): error.description
        }
    }
}
