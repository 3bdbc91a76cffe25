/// Serialisation as the section `tokenizer` of a `.phi` file: Formats/phi-file.md, 2.2.
extension Vocabulary {
    private static let headerSize = 32
    private static let kind: UInt32 = 1

    /// Creates a vocabulary from an untrusted section, whose memory must stay valid only during the call.
    ///
    /// - Throws: `TokenizerError` if the section violates its specification.
    /// - Complexity: Linear time and memory in the section's length, whatever counts it declares.
    public init(section: UnsafeRawBufferPointer) throws(TokenizerError) {
        var reader = SectionReader(section)
        guard section.count >= Self.headerSize else {
            throw TokenizerError(fault: "the tokenizer section has \(section.count) bytes, less than its header")
        }
        let kind = reader.word()
        guard kind == Self.kind else { throw TokenizerError(fault: "unknown tokenizer kind \(kind), expected 1") }
        let (tokens, merges, added, bytes) = (reader.word(), reader.word(), reader.word(), reader.word())
        let unknown = reader.word()
        for _ in 0..<2 where reader.word() != 0 {
            throw TokenizerError(fault: "the tokenizer's reserved bytes are not zero")
        }
        // Below 2^37, so the sum cannot overflow; once it matches, every count fits the section.
        let length =
            UInt64(Self.headerSize) + 4 * (UInt64(tokens) + 1) + 12 * UInt64(merges) + 8 * UInt64(added) + UInt64(bytes)
        guard UInt64(section.count) == length else {
            throw TokenizerError(
                fault: "the tokenizer section has \(section.count) bytes, but its counts require \(length)")
        }
        let starts = reader.words(Int(tokens) + 1)
        var readMerges: [Merge] = []
        readMerges.reserveCapacity(Int(merges))
        for _ in 0..<merges {
            readMerges.append(Merge(left: reader.id(), right: reader.id(), result: reader.id()))
        }
        var readAdded: [AddedToken] = []
        readAdded.reserveCapacity(Int(added))
        for _ in 0..<added {
            let id = reader.id()
            let flags = reader.word()
            guard flags <= 3 else { throw TokenizerError(fault: "added token \(id) has unknown flags \(flags)") }
            readAdded.append(AddedToken(id: id, isSpecial: flags & 1 != 0, isInSecondPass: flags & 2 != 0))
        }
        let text = reader.bytes(Int(bytes))
        try self.init(
            text: text, starts: starts, merges: readMerges, addedTokens: readAdded,
            unknown: unknown == 0 ? nil : TokenID(bitPattern: unknown - 1))
    }

    /// The lowest minor version of the format that has this vocabulary.
    public var formatMinorVersion: Int {
        index.hasAllBytes && !addedTokens.contains(where: \.isInSecondPass) ? 1 : 2
    }

    /// Returns this vocabulary as a section, deterministically. Linear in its size.
    public func section() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(
            Self.headerSize + 4 * starts.count + 12 * merges.count + 8 * addedTokens.count + text.count)
        func append(_ word: UInt32) {
            for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        append(Self.kind)
        for count in [count, merges.count, addedTokens.count, text.count] { append(UInt32(count)) }
        append(unknown.map { UInt32($0) + 1 } ?? 0)
        for _ in 0..<2 { append(0) }
        for start in starts { append(start) }
        for merge in merges {
            for id in [merge.left, merge.right, merge.result] { append(UInt32(id)) }
        }
        for token in addedTokens {
            append(UInt32(token.id))
            append((token.isSpecial ? 1 : 0) | (token.isInSecondPass ? 2 : 0))
        }
        return bytes + text
    }
}

/// A bounds-checked reader of little-endian words from memory of any alignment.
private struct SectionReader {
    private let memory: UnsafeRawBufferPointer
    private var offset = 0

    init(_ memory: UnsafeRawBufferPointer) {
        self.memory = memory
    }

    mutating func word() -> UInt32 {
        let next = offset + 4
        precondition(next <= memory.count)
        defer { offset = next }
        return UInt32(littleEndian: memory.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    /// Reads a token id; a value above `TokenID.max` becomes negative and thus invalid.
    mutating func id() -> TokenID {
        TokenID(bitPattern: word())
    }

    mutating func words(_ count: Int) -> [UInt32] {
        var words: [UInt32] = []
        words.reserveCapacity(count)
        for _ in 0..<count { words.append(word()) }
        return words
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        precondition(count <= memory.count - offset)
        defer { offset += count }
        return [UInt8](memory[offset..<offset + count])
    }
}
