import PhiFormat
import PhiTokenizer

/// What a session keeps of a text, as bytes: little-endian
///
///     0   8 bytes   magic
///     8   u32       version of this layout and of what is computed into it: 1
///     12  u32       cache encoding: 0 f32, 1 f16, 2 q8
///     16  u64       length of all, in bytes
///     24  u64       number of tokens n
///     32  32 bytes  the model: its file's header hash
///     64  i32 x n   tokens
///         bytes     keys and values: the regions of ``KVCache/regions(of:)``, places in a tile beyond the last token zero
///         32 bytes  SHA-256 of all before
///
/// It is made for the machine's next start, not for other versions: a reader refuses every version but its own.
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
    /// The first `count` tokens, by default all, with their keys and values, as bytes that ``restore(_:)`` takes; one text has
    /// one such row of bytes, whatever the session held before it. With phi-1's shape and the 8-bit cache a token takes about
    /// 104 kB.
    public func save(first count: Int? = nil) -> [UInt8] {
        let size = snapshotSize(first: count)
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, written in
            save(
                first: count,
                into: UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<size]))
            written = size
        }
    }

    /// Bytes that ``save(first:)`` gives.
    package func snapshotSize(first count: Int? = nil) -> Int {
        let count = min(max(0, count ?? tokens.count), tokens.count)
        return SnapshotLayout.size(tokens: count, cache.regions(of: count))
    }

    /// Writes the bytes of ``save(first:)`` into memory that is as long as ``snapshotSize(first:)`` says.
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

    /// Makes the session hold what `snapshot` has instead of what it holds: results are then those of a session that computed
    /// it. Logits are there after the next append; ``rewind(to:)`` and completions see to that.
    ///
    /// Throws ``SnapshotError`` when the bytes are not those that ``save(first:)`` gave, come from another model or another
    /// way of keeping keys and values, or do not fit; then nothing has changed.
    public func restore(_ snapshot: [UInt8]) throws(SnapshotError) {
        try snapshot.withUnsafeBufferPointer { bytes throws(SnapshotError) in
            try restore(UnsafeRawBufferPointer(bytes))
        }
    }

    /// The same with bytes wherever they lie.
    package func restore(_ snapshot: UnsafeRawBufferPointer) throws(SnapshotError) {
        let count = try checkHeader(snapshot)
        let regions = cache.regions(of: count)
        guard SnapshotLayout.size(tokens: count, regions) == snapshot.count else { throw .damaged }
        let tokens = (0..<count).map {
            snapshot.littleEndian(at: SnapshotLayout.headerBytes + 4 * $0, as: TokenID.self)
        }
        guard tokens.allSatisfy({ $0 >= 0 && Int($0) < model.config.vocabulary }) else { throw .damaged }
        var place = SnapshotLayout.headerBytes + 4 * count
        for region in regions {
            let end = place + region.memory.count
            region.memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: snapshot[place..<end]))
            place = end
        }
        commit(restored: tokens)
    }

    /// The number of tokens. The hash comes first: what follows it says what whoever made the snapshot meant.
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

/// Why a snapshot cannot be restored.
public enum SnapshotError: Error, Equatable, CustomStringConvertible {
    /// The bytes are something else.
    case notASnapshot
    /// Another version of swift-phi wrote it, in this version of the layout.
    case unknownVersion(Int)
    /// It is cut short or altered: its length or its hash does not match.
    case damaged
    /// It is of another model's text.
    case otherModel
    /// It keeps keys and values in another way than the session.
    case otherCacheEncoding(CacheEncoding, session: CacheEncoding)
    /// It has this many tokens.
    case doesNotFit(Int, limit: Int)

    /// What is wrong, in one line.
    public var description: String {
        switch self {
        case .notASnapshot: "is not a snapshot of a session"
        case .unknownVersion(let version): "is a snapshot of version \(version), which this version does not read"
        case .damaged: "the snapshot is damaged: it is cut short or altered"
        case .otherModel: "the snapshot is of another model"
        case .otherCacheEncoding(let theirs, let ours):
            "the snapshot keeps keys and values as \(theirs.rawValue), the session as \(ours.rawValue)"
        case .doesNotFit(let count, let limit): "the snapshot's \(count) tokens do not fit the context of \(limit)"
        }
    }
}

/// Writes a snapshot into memory that is exactly as long.
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

    /// Appends a region of a cache for `positions` of a text; what a tile has beyond them, of texts before, as zeros.
    mutating func append(_ region: KVCache.Region, positions: Int) {
        let start = count
        append(UnsafeRawBufferPointer(region.memory))
        let used = positions % 16
        guard region.lane > 0, used > 0 else { return }
        let tileBytes = region.memory.count / (positions / 16 + 1)
        let rowBytes = 16 * region.lane
        for row in stride(from: start + region.memory.count - tileBytes, to: count, by: rowBytes) {
            for byte in row + used * region.lane..<row + rowBytes { memory[byte] = 0 }
        }
    }
}
