import PhiFormat
import PhiTokenizer

/// The layout of a session's snapshot, little-endian:
///
///     0   8 bytes   magic
///     8   u32       version of the layout: 2
///     12  u32       encoding of the KV cache: 0 f32, 1 f16, 2 q8
///     16  u64       length of the snapshot in bytes
///     24  u64       number of tokens n
///     32  32 bytes  header hash of the model file
///     64  32 bytes  ``swiftPhiVersion`` and zeros, since other versions may compute other keys and values
///     96  i32 x n   token ids
///         bytes     keys and values: the regions of ``KVCache/regions(of:)``, zero in tiles beyond the last token
///         32 bytes  SHA-256 of all bytes before
///
/// Snapshots are for restarts of one version: a reader rejects every other version.
enum SnapshotLayout {
    static let magic: [UInt8] = [0x89, 0x50, 0x48, 0x53, 0x0d, 0x0a, 0x1a, 0x0a]  // \x89PHS\r\n\x1a\n
    static let version: UInt32 = 2
    static let release = Array((Array(swiftPhiVersion.utf8) + [UInt8](repeating: 0, count: 32)).prefix(32))
    static let headerBytes = 96
    static let digestBytes = 32
    static let encodings: [CacheEncoding] = [.f32, .f16, .q8]

    static func size(tokens: Int, _ regions: [KVCache.Region]) -> Int {
        headerBytes + 4 * tokens + regions.reduce(0) { $0 + $1.memory.count } + digestBytes
    }

    /// Calls `append` with the bytes of a snapshot of a session's first `count` tokens, piece by piece.
    static func write<Failure: Error>(
        _ session: Session, first count: Int, append: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        var hash = SHA256Hash()
        func add(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
            hash.add(bytes)
            try append(bytes)
        }
        func add(_ bytes: [UInt8]) throws(Failure) {
            try bytes.withUnsafeBufferPointer { bytes throws(Failure) in try add(UnsafeRawBufferPointer(bytes)) }
        }
        let regions = session.cache.regions(of: count)
        var header = magic
        func put(_ number: some FixedWidthInteger) {
            withUnsafeBytes(of: number.littleEndian) { header.append(contentsOf: $0) }
        }
        put(version)
        put(UInt32(encodings.firstIndex(of: session.cacheEncoding) ?? 0))
        put(UInt64(size(tokens: count, regions)))
        put(UInt64(count))
        header += session.model.file.digest.bytes + release
        for token in session.tokens.prefix(count) { put(token) }
        try add(header)
        for region in regions {
            let (whole, last) = region.split(positions: count)
            try add(UnsafeRawBufferPointer(whole))
            try add(last)
        }
        let digest = hash.digest()
        try digest.bytes.withUnsafeBufferPointer { bytes throws(Failure) in try append(UnsafeRawBufferPointer(bytes)) }
    }
}

extension KVCache.Region {
    /// Returns its memory but the last tile, if that has more positions than the first `positions`, and a copy of that tile with
    /// zeros for those.
    fileprivate func split(positions: Int) -> (whole: UnsafeMutableRawBufferPointer, last: [UInt8]) {
        let used = positions % 16
        guard laneBytes > 0, used > 0 else { return (memory, []) }
        let start = memory.count - memory.count / (positions / 16 + 1)
        var last = Array(memory[start...])
        let rowBytes = 16 * laneBytes
        for row in stride(from: 0, to: last.count, by: rowBytes) {
            for byte in row + used * laneBytes..<row + rowBytes { last[byte] = 0 }
        }
        return (UnsafeMutableRawBufferPointer(rebasing: memory[..<start]), last)
    }
}

/// A snapshot in memory or in a file. Reading it trusts no length.
package struct Snapshot {
    /// Length in bytes.
    package let size: Int
    let read: (Int, UnsafeMutableRawBufferPointer) throws(SnapshotError) -> Void
    /// Bytes that are read at once for the hash.
    private static let pieceBytes = 1 << 20

    /// A snapshot in memory, which must live as long.
    init(_ bytes: UnsafeRawBufferPointer) {
        size = bytes.count
        read = { start, target throws(SnapshotError) in
            guard start <= bytes.count, target.count <= bytes.count - start else { throw .damaged }
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start..<start + target.count]))
        }
    }

    /// The snapshot in a file; nil if there is no file.
    package init?(_ path: FilePath) throws(SnapshotError) {
        do throws(FormatError) {
            guard let file = try ReadableFile(ownAt: path) else { return nil }
            size = file.size
            read = { start, target throws(SnapshotError) in
                do throws(FormatError) { try file.read(at: start, into: target) } catch { throw .file(error) }
            }
        } catch {
            throw .file(error)
        }
    }

    /// The fields of a header, whose size and layout have been checked.
    package struct Header {
        /// Number of tokens.
        package let count: Int
        fileprivate let encoding: UInt32
        fileprivate let model: [UInt8]
        fileprivate let release: [UInt8]

        /// Throws ``SnapshotError`` when the snapshot's keys and values are not those of the model or not in the encoding.
        package func check(_ model: LanguageModel, _ encoding: CacheEncoding) throws(SnapshotError) {
            guard self.model == model.file.digest.bytes else { throw .otherModel }
            guard release == SnapshotLayout.release else { throw .otherRelease }
            let encodings = SnapshotLayout.encodings
            guard encodings.indices.contains(Int(self.encoding)) else { throw .damaged }
            guard encodings[Int(self.encoding)] == encoding else {
                throw .otherCacheEncoding(encodings[Int(self.encoding)], session: encoding)
            }
        }
    }

    /// Reads the header. Throws ``SnapshotError`` when the bytes are not a snapshot of this layout, or cut off.
    package func header() throws(SnapshotError) -> Header {
        let magic = try bytes(0, min(size, SnapshotLayout.magic.count))
        guard !magic.isEmpty, SnapshotLayout.magic.starts(with: magic) else { throw .notASnapshot }
        guard size >= SnapshotLayout.headerBytes + SnapshotLayout.digestBytes else { throw .damaged }
        let header = try bytes(0, SnapshotLayout.headerBytes)
        func number<Value: FixedWidthInteger & BitwiseCopyable>(_ place: Int, as type: Value.Type) -> Value {
            header.withUnsafeBytes { $0.littleEndian(at: place, as: type) }
        }
        let version = number(8, as: UInt32.self)
        guard version == SnapshotLayout.version else { throw .unknownVersion(Int(version)) }
        guard number(16, as: UInt64.self) == UInt64(size),
            let count = Int(exactly: number(24, as: UInt64.self)), count <= size / 4
        else { throw .damaged }
        return Header(
            count: count, encoding: number(12, as: UInt32.self), model: Array(header[32..<64]),
            release: Array(header[64..<96]))
    }

    /// Throws ``SnapshotError`` unless the hash at the end is that of all bytes before, of which there must be enough.
    func checkDigest() throws(SnapshotError) {
        var hash = SHA256Hash()
        let end = size - SnapshotLayout.digestBytes
        for start in stride(from: 0, to: end, by: Self.pieceBytes) {
            let piece = try bytes(start, min(Self.pieceBytes, end - start))
            piece.withUnsafeBytes { hash.add($0) }
        }
        guard try hash.digest().bytes == bytes(end, SnapshotLayout.digestBytes) else { throw .damaged }
    }

    /// Reads the tokens. Throws ``SnapshotError`` when one is not in the vocabulary.
    package func tokens(_ count: Int, vocabulary: Int) throws(SnapshotError) -> [TokenID] {
        let ids = try bytes(SnapshotLayout.headerBytes, 4 * count)
        let tokens = ids.withUnsafeBytes { ids in
            (0..<count).map { ids.littleEndian(at: 4 * $0, as: TokenID.self) }
        }
        guard tokens.allSatisfy({ $0 >= 0 && Int($0) < vocabulary }) else { throw .damaged }
        return tokens
    }

    private func bytes(_ start: Int, _ count: Int) throws(SnapshotError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try bytes.withUnsafeMutableBufferPointer { bytes throws(SnapshotError) in
            try read(start, UnsafeMutableRawBufferPointer(bytes))
        }
        return bytes
    }
}
