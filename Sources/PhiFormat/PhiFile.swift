/// A `.phi` file, opened: its header is checked, its sections are read in place.
///
/// ```swift
/// let file = try PhiFile(MappedFile(path: "model.phi"))
/// for section in file.sections { print(section.name, section.length) }
/// ```
///
/// Opening reads the header only, so it takes the same time for any size. ``verify(progress:)`` reads everything. The
/// contents of sections are not interpreted here.
public struct PhiFile: Sendable {
    /// Its bytes.
    public let mapping: MappedFile
    /// All sections, in the file's order.
    public let sections: [Section]
    /// Version of the format: major, minor.
    public let version: (major: Int, minor: Int)
    /// The header hash, which covers every section's hash: it identifies the file.
    public let digest: SHA256Digest
    private let index: [String: Int]

    /// The path it was opened by.
    public var path: String { mapping.path }

    /// Checks the header by `Formats/phi-file.md` 1.3; throws ``FormatError`` with the first fault.
    public init(_ mapping: MappedFile) throws(FormatError) {
        self.mapping = mapping
        let count = try Self.checkPreamble(mapping)
        let bytes = mapping.bytes
        version = (
            Int(bytes.littleEndian(at: 8, as: UInt16.self)), Int(bytes.littleEndian(at: 10, as: UInt16.self))
        )
        digest = try Self.checkDigest(mapping, headerSize: PhiHeader.size(sections: count))
        var sections: [Section] = []
        var index: [String: Int] = [:]
        var end = PhiHeader.size(sections: count)
        for number in 0..<count {
            let start = PhiHeader.preambleBytes + PhiHeader.recordBytes * number
            let record = UnsafeRawBufferPointer(rebasing: mapping.bytes[start..<start + PhiHeader.recordBytes])
            let section = try Self.section(record, number, after: end, in: mapping)
            guard index.updateValue(number, forKey: section.name) == nil else {
                throw FormatError(mapping.path, "has two sections named \(section.name)")
            }
            sections.append(section)
            end = section.offset + section.length
        }
        guard end == mapping.count else {
            throw FormatError(mapping.path, "the last section ends at \(end), the file at \(mapping.count)")
        }
        self.sections = sections
        self.index = index
    }

    /// The section called `name`, if there is one.
    public func section(_ name: String) -> Section? { index[name].map { sections[$0] } }

    /// The bytes of one of this file's sections; valid while ``mapping`` lives.
    package func bytes(of section: Section) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: mapping.bytes[section.offset..<section.offset + section.length])
    }

    /// Reads everything: throws ``FormatError`` naming the first section whose hash does not match, or that follows a byte of
    /// padding that is not zero. `progress` gets the bytes done.
    public func verify(progress: (Int) -> Void = { _ in }) throws(FormatError) {
        var end = PhiHeader.size(sections: sections.count)
        for section in sections {
            guard mapping.bytes[end..<section.offset].allSatisfy({ $0 == 0 }) else {
                throw FormatError(path, "has stray bytes before section \(section.name)")
            }
            guard SHA256Digest(bytes(of: section)).bytes == section.digest else {
                throw FormatError(path, "section \(section.name) is damaged: its hash does not match")
            }
            end = section.offset + section.length
            progress(end)
        }
    }

    /// Returns the section count.
    private static func checkPreamble(_ mapping: MappedFile) throws(FormatError) -> Int {
        let path = mapping.path
        let known = min(mapping.count, PhiHeader.magic.count)
        guard mapping.bytes[..<known].elementsEqual(PhiHeader.magic[..<known]) else {
            if let content = FileContent(mapping.bytes) { throw content.fault(of: path, insteadOf: "a .phi file") }
            throw FormatError(path, "is not a .phi file: wrong magic")
        }
        guard mapping.count >= PhiHeader.preambleBytes else {
            throw FormatError(path, "is truncated: \(mapping.count) bytes are less than a preamble")
        }
        let bytes = mapping.bytes
        let order = bytes.littleEndian(at: 12, as: UInt32.self)
        guard order == PhiHeader.byteOrder else {
            throw FormatError(path, "has the wrong byte order mark, 0x\(String(order, radix: 16))")
        }
        let major = bytes.littleEndian(at: 8, as: UInt16.self)
        guard major == PhiHeader.majorVersion else {
            throw FormatError(
                path, "is of format version \(major), this reader knows version \(PhiHeader.majorVersion)")
        }
        let size = bytes.littleEndian(at: 16, as: UInt64.self)
        guard size == UInt64(mapping.count) else {
            let fault = size > UInt64(mapping.count) ? "is truncated" : "is too long"
            throw FormatError(path, "\(fault): \(mapping.count) bytes, its header says \(size)")
        }
        let count = Int(bytes.littleEndian(at: 32, as: UInt32.self))
        guard (1...PhiHeader.maximumSections).contains(count) else {
            throw FormatError(path, "has \(count) sections, not 1 to \(PhiHeader.maximumSections)")
        }
        let headerSize = bytes.littleEndian(at: 24, as: UInt64.self)
        guard headerSize == UInt64(PhiHeader.size(sections: count)), headerSize <= UInt64(mapping.count) else {
            throw FormatError(path, "has a header size of \(headerSize), which does not fit \(count) sections")
        }
        guard bytes[36..<PhiHeader.hashOffset].allSatisfy({ $0 == 0 }) else {
            throw FormatError(path, "has reserved bytes of the preamble set")
        }
        return count
    }

    private static func checkDigest(_ mapping: MappedFile, headerSize: Int) throws(FormatError) -> SHA256Digest {
        var header = Array(mapping.bytes[..<headerSize])
        let place = PhiHeader.hashOffset..<PhiHeader.preambleBytes
        header.replaceSubrange(place, with: repeatElement(0, count: place.count))
        let digest = header.withUnsafeBytes { SHA256Digest($0) }
        guard digest.bytes.elementsEqual(mapping.bytes[place]) else {
            throw FormatError(mapping.path, "header is damaged: its hash does not match")
        }
        return digest
    }

    /// The section that `record` describes, which must be the next one after `end`.
    private static func section(
        _ record: UnsafeRawBufferPointer, _ number: Int, after end: Int, in mapping: MappedFile
    ) throws(FormatError) -> Section {
        let field = record[..<PhiHeader.nameBytes]
        let name = Array(field.prefix { $0 != 0 })
        guard PhiHeader.isName(name), field.dropFirst(name.count).allSatisfy({ $0 == 0 }) else {
            throw FormatError(mapping.path, "section \(number) has an invalid name")
        }
        let label = String(decoding: name, as: UTF8.self)
        func refused(_ fault: String) -> FormatError { FormatError(mapping.path, "section \(label) \(fault)") }
        let flags = record.littleEndian(at: 48, as: UInt32.self)
        guard flags <= 1 else { throw refused("has unknown flags 0x\(String(flags, radix: 16))") }
        guard record[84..<96].allSatisfy({ $0 == 0 }) else { throw refused("has reserved bytes set") }
        let alignment = Int(record.littleEndian(at: 72, as: UInt32.self))
        guard PhiHeader.alignments.contains(alignment), alignment.nonzeroBitCount == 1 else {
            throw refused("has an alignment of \(alignment)")
        }
        guard let offset = Int(exactly: record.littleEndian(at: 56, as: UInt64.self)),
            let length = Int(exactly: record.littleEndian(at: 64, as: UInt64.self)), length > 0
        else { throw refused("has an impossible place or length") }
        guard let expected = PhiHeader.align(end, to: alignment), offset == expected else {
            throw refused("starts at \(offset), not where the one before and its alignment put it")
        }
        guard length <= mapping.count - min(offset, mapping.count) else {
            throw refused("ends beyond the file: \(length) bytes at \(offset) of \(mapping.count)")
        }
        let rows = Int(record.littleEndian(at: 76, as: UInt32.self))
        let columns = Int(record.littleEndian(at: 80, as: UInt32.self))
        let encoding = record.littleEndian(at: 52, as: UInt32.self)
        if encoding == 0 {
            guard rows == 0, columns == 0 else { throw refused("is plain bytes but has rows or columns") }
        } else if let known = TensorEncoding(rawValue: encoding) {
            guard let bytes = known.byteCount(rows: rows, columns: columns) else {
                throw refused("has an impossible shape, \(rows) x \(columns)")
            }
            guard bytes == length else {
                throw refused("is \(length) bytes long; \(rows) x \(columns) in \(known.name) takes \(bytes)")
            }
        }
        return Section(
            name: label, isRequired: flags == 1, encodingNumber: encoding, offset: offset, length: length,
            alignment: alignment, rows: rows, columns: columns, digest: Array(record[96..<128]))
    }
}
