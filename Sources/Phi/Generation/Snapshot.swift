import PhiFormat
import PhiTokenizer

/// The layout of a session's snapshot, little-endian:
///
///     0   8 bytes   magic
///     8   u32       version of the layout and of the computation of keys and values: 1
///     12  u32       encoding of the KV cache: 0 f32, 1 f16, 2 q8
///     16  u64       length of the snapshot in bytes
///     24  u64       number of tokens n
///     32  32 bytes  header hash of the model file
///     64  i32 x n   token ids
///         bytes     keys and values: the regions of ``KVCache/regions(of:)``, zero in tiles beyond the last token
///         32 bytes  SHA-256 of all bytes before
///
/// Snapshots are for restarts of one version: a reader rejects every other version.
private enum SnapshotLayout {
    static let magic: [UInt8] = [0x89, 0x50, 0x48, 0x53, 0x0d, 0x0a, 0x1a, 0x0a]  // \x89PHS\r\n\x1a\n
    static let version: UInt32 = 1
    static let headerBytes = 64
    static let digestBytes = 32
    static let encodings: [CacheEncoding] = [.f32, .f16, .q8]

    static func size(tokens: Int, _ regions: [KVCache.Region]) -> Int {
        headerBytes + 4 * tokens + regions.reduce(0) { $0 + $1.memory.count } + digestBytes
    }
}

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
        let count = min(max(0, count ?? tokens.count), tokens.count)
        return SnapshotLayout.size(tokens: count, cache.regions(of: count))
    }

    /// Writes a snapshot of the first `count` tokens to `memory`, whose size must be ``snapshotSize(first:)``.
    package func save(first count: Int? = nil, into memory: UnsafeMutableRawBufferPointer) {
        let count = min(max(0, count ?? tokens.count), tokens.count)
        var writer = SnapshotWriter(memory: memory)
        SnapshotLayout.magic.withUnsafeBytes { writer.append($0) }
        writer.append(SnapshotLayout.version)
        writer.append(UInt32(SnapshotLayout.encodings.firstIndex(of: cacheEncoding) ?? 0))
        writer.append(UInt64(memory.count))
        writer.append(UInt64(count))
        model.file.digest.bytes.withUnsafeBytes { writer.append($0) }
        for token in tokens.prefix(count) { writer.append(UInt32(bitPattern: token)) }
        for region in cache.regions(of: count) { writer.append(region, positions: count) }
        let digest = SHA256Digest(writer.written)
        digest.bytes.withUnsafeBytes { writer.append($0) }
    }

    /// Replaces the session's tokens, keys and values by those of a snapshot; later results are those of the saved
    /// session. There are no logits until the next append, which ``rewind(to:)`` and completions take care of.
    ///
    /// Throws ``SnapshotError``, leaving the session unchanged, when the bytes are not an intact snapshot, the model
    /// file or the encoding of the KV cache differs, or the tokens do not fit.
    public func restore(_ snapshot: [UInt8]) throws(SnapshotError) {
        try snapshot.withUnsafeBufferPointer { bytes throws(SnapshotError) in
            try restore(UnsafeRawBufferPointer(bytes))
        }
    }

    /// Restores a snapshot in memory that need not be an array.
    package func restore(_ snapshot: UnsafeRawBufferPointer) throws(SnapshotError) {
        let count = try checkHeader(snapshot)
        let regions = cache.regions(of: count)
        guard SnapshotLayout.size(tokens: count, regions) == snapshot.count else { throw .damaged }
        let tokens = (0..<count).map {
            snapshot.littleEndian(at: SnapshotLayout.headerBytes + 4 * $0, as: TokenID.self)
        }
        guard tokens.allSatisfy({ $0 >= 0 && Int($0) < model.config.vocabulary }) else { throw .damaged }
        var start = SnapshotLayout.headerBytes + 4 * count
        for region in regions {
            let end = start + region.memory.count
            region.memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: snapshot[start..<end]))
            start = end
        }
        commit(restored: tokens)
    }

    /// Checks the header and returns the number of tokens. The hash is checked before fields that select an error, so
    /// that damage is not reported as a mismatch.
    private func checkHeader(_ snapshot: UnsafeRawBufferPointer) throws(SnapshotError) -> Int {
        let known = min(snapshot.count, SnapshotLayout.magic.count)
        guard known > 0, snapshot[..<known].elementsEqual(SnapshotLayout.magic[..<known]) else { throw .notASnapshot }
        guard snapshot.count >= SnapshotLayout.headerBytes + SnapshotLayout.digestBytes else { throw .damaged }
        let version = snapshot.littleEndian(at: 8, as: UInt32.self)
        guard version == SnapshotLayout.version else { throw .unknownVersion(Int(version)) }
        guard snapshot.littleEndian(at: 16, as: UInt64.self) == UInt64(snapshot.count) else { throw .damaged }
        let end = snapshot.count - SnapshotLayout.digestBytes
        guard SHA256Digest(UnsafeRawBufferPointer(rebasing: snapshot[..<end])).bytes.elementsEqual(snapshot[end...])
        else { throw .damaged }
        guard snapshot[32..<SnapshotLayout.headerBytes].elementsEqual(model.file.digest.bytes) else {
            throw .otherModel
        }
        let encoding = Int(snapshot.littleEndian(at: 12, as: UInt32.self))
        guard SnapshotLayout.encodings.indices.contains(encoding) else { throw .damaged }
        guard SnapshotLayout.encodings[encoding] == cacheEncoding else {
            throw .otherCacheEncoding(SnapshotLayout.encodings[encoding], session: cacheEncoding)
        }
        guard let count = Int(exactly: snapshot.littleEndian(at: 24, as: UInt64.self)) else { throw .damaged }
        guard count <= context else { throw .doesNotFit(count, limit: context) }
        return count
    }
}

/// An error of a snapshot that cannot be restored.
public enum SnapshotError: Error, Equatable, CustomStringConvertible {
    /// The bytes are not a snapshot.
    case notASnapshot
    /// It was written in this version of the layout by another version of swift-phi.
    case unknownVersion(Int)
    /// It is truncated or altered: its length or its hash does not match.
    case damaged
    /// It was saved with another model file.
    case otherModel
    /// The encoding of its KV cache differs from the session's.
    case otherCacheEncoding(CacheEncoding, session: CacheEncoding)
    /// It has this many tokens, more than the session's context.
    case doesNotFit(Int, limit: Int)

    /// The error in one line.
    public var description: String {
        switch self {
        case .notASnapshot: "not a session snapshot"
        case .unknownVersion(let version): "unsupported snapshot version \(version)"
        case .damaged: "the snapshot is truncated or altered"
        case .otherModel: "the snapshot belongs to another model file"
        case .otherCacheEncoding(let theirs, let ours):
            "the snapshot's KV cache is \(theirs.rawValue), the session's is \(ours.rawValue)"
        case .doesNotFit(let count, let limit): "the snapshot's \(count) tokens do not fit the context of \(limit)"
        }
    }
}

/// A cursor that writes a snapshot to memory of its exact size.
private struct SnapshotWriter {
    let memory: UnsafeMutableRawBufferPointer
    var count = 0

    var written: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[..<count]) }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        UnsafeMutableRawBufferPointer(rebasing: memory[count..<count + bytes.count]).copyMemory(from: bytes)
        count += bytes.count
    }

    mutating func append(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.littleEndian) { append($0) }
    }

    /// Appends a region of the first `positions` positions of a KV cache, with zeros for later ones in its last tile.
    mutating func append(_ region: KVCache.Region, positions: Int) {
        let start = count
        append(UnsafeRawBufferPointer(region.memory))
        let used = positions % 16
        guard region.laneBytes > 0, used > 0 else { return }
        let tileBytes = region.memory.count / (positions / 16 + 1)
        let rowBytes = 16 * region.laneBytes
        for row in stride(from: start + region.memory.count - tileBytes, to: count, by: rowBytes) {
            for byte in row + used * region.laneBytes..<row + rowBytes { memory[byte] = 0 }
        }
    }
}
