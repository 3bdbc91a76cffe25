/// A section's record in the header of a `.phi` file (`Formats/phi-file.md`, 1.2).
public struct Section: Sendable, Equatable {
    /// Its name, unique in its file.
    public let name: String
    /// Whether a reader that does not know the name must refuse the file.
    public let isRequired: Bool
    /// The encoding's number; 0 for plain bytes.
    public let encodingNumber: UInt32
    /// Offset of the first byte in the file.
    public let offset: Int
    /// Length in bytes.
    public let length: Int
    /// Alignment in the file, which divides ``offset``.
    public let alignment: Int
    /// Rows of the tensor; 0 for plain bytes.
    public let rows: Int
    /// Columns of the tensor; 0 for plain bytes.
    public let columns: Int
    /// SHA-256 of the section's bytes.
    public internal(set) var digest: [UInt8]

    /// The encoding, or nil for plain bytes and for numbers that this version does not know.
    public var encoding: TensorEncoding? { TensorEncoding(rawValue: encodingNumber) }
}

/// The constants and bytes of the preamble and section table.
enum PhiHeader {
    static let magic: [UInt8] = [0x89, 0x50, 0x48, 0x49, 0x0d, 0x0a, 0x1a, 0x0a]
    static let majorVersion: UInt16 = 1
    static let byteOrder: UInt32 = 0x0102_0304
    static let preambleBytes = 128
    static let recordBytes = 128
    static let nameBytes = 48
    static let hashOffset = 96
    static let maximumSections = 65_536
    static let alignments = 64...65_536
    private static let nameCharacters = Set("abcdefghijklmnopqrstuvwxyz0123456789._-".utf8)

    static func size(sections: Int) -> Int { preambleBytes + recordBytes * sections }

    /// `n` rounded up to a multiple of `alignment`, or nil on overflow.
    static func align(_ n: Int, to alignment: Int) -> Int? {
        let (sum, overflow) = n.addingReportingOverflow(alignment - 1)
        return overflow ? nil : sum / alignment * alignment
    }

    /// Whether `name` is 1 to 47 of the characters that section names are made of.
    static func isName(_ name: some Collection<UInt8>) -> Bool {
        (1..<nameBytes).contains(name.count) && name.allSatisfy(nameCharacters.contains)
    }

    /// The whole header of a file of version 1.`minorVersion` that ends with the last of `sections`.
    static func bytes(for sections: [Section], minorVersion: UInt16) -> [UInt8] {
        var header = [UInt8]()
        func add(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { header.append(contentsOf: $0) }
        }
        func pad(to count: Int) { header.append(contentsOf: repeatElement(0, count: count - header.count)) }
        header.append(contentsOf: magic)
        add(majorVersion)
        add(minorVersion)
        add(byteOrder)
        add(UInt64(sections.last.map { $0.offset + $0.length } ?? preambleBytes))
        add(UInt64(size(sections: sections.count)))
        add(UInt32(sections.count))
        pad(to: preambleBytes)
        for section in sections {
            let start = header.count
            header.append(contentsOf: section.name.utf8)
            pad(to: start + nameBytes)
            add(UInt32(section.isRequired ? 1 : 0))
            add(section.encodingNumber)
            add(UInt64(section.offset))
            add(UInt64(section.length))
            add(UInt32(section.alignment))
            add(UInt32(section.rows))
            add(UInt32(section.columns))
            pad(to: start + 96)
            header.append(contentsOf: section.digest)
        }
        let digest = header.withUnsafeBytes { SHA256Digest($0) }
        header.replaceSubrange(hashOffset..<preambleBytes, with: digest.bytes)
        return header
    }
}
