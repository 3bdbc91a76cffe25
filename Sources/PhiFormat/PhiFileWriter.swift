/// Writes a `.phi` file section by section, under a temporary name beside its own until ``commit()``.
///
/// The header is written last, so every reader refuses an unfinished file; a writer that is released before ``commit()``
/// deletes its temporary file.
public final class PhiFileWriter {
    /// Path of the finished file.
    public var path: String { file.path }
    private let file: AtomicFile
    private let sectionCount: Int
    private let minorVersion: UInt16
    private var sections: [Section] = []
    private var hash = SHA256Hash()

    /// Sections of this size and more start on a 64 KiB boundary, smaller ones on a 64-byte one.
    static let largeSection = 1 << 20

    /// Starts a file of `sectionCount` sections at `path`, of version 1.`minorVersion`: the lowest that has all of them.
    /// Throws ``FormatError`` when `path` exists and may not be replaced, or cannot be written.
    public convenience init(
        path: String, sectionCount: Int, minorVersion: UInt16 = 1, overwrite: Bool
    ) throws(FormatError) {
        try self.init(FilePath(path), sectionCount: sectionCount, minorVersion: minorVersion, overwrite: overwrite)
    }

    package init(
        _ path: FilePath, sectionCount: Int, minorVersion: UInt16 = 1, overwrite: Bool, sources: [FilePath] = []
    ) throws(FormatError) {
        self.sectionCount = sectionCount
        self.minorVersion = minorVersion
        file = try AtomicFile(path, overwrite: overwrite, sources: sources)
        try file.append([UInt8](repeating: 0, count: PhiHeader.size(sections: sectionCount)))
    }

    /// Writes a section of plain bytes.
    public func write(_ name: String, required: Bool, bytes: [UInt8]) throws(FormatError) {
        try begin(name, required: required, encodingNumber: 0, rows: 0, columns: 0, length: bytes.count)
        try bytes.withBytes { bytes throws(FormatError) in try append(bytes) }
        try end()
    }

    /// Writes a vector of f32.
    public func write(_ name: String, vector: [Float]) throws(FormatError) {
        try begin(name, encoding: .vector, rows: vector.count, columns: 1)
        try vector.withBytes { bytes throws(FormatError) in try append(bytes) }
        try end()
    }

    /// Opens a tensor's section; its bytes follow by ``append(_:)-(UnsafeRawBufferPointer)`` up to ``end()``.
    public func begin(_ name: String, encoding: TensorEncoding, rows: Int, columns: Int) throws(FormatError) {
        guard let length = encoding.byteCount(rows: rows, columns: columns) else {
            throw FormatError(path, "\(name) cannot be \(rows) x \(columns)")
        }
        try begin(
            name, required: true, encodingNumber: encoding.rawValue, rows: rows, columns: columns, length: length)
    }

    /// Adds bytes to the open section.
    public func append(_ bytes: UnsafeRawBufferPointer) throws(FormatError) {
        try file.append(bytes)
        hash.add(bytes)
    }

    /// Closes the open section.
    public func end() throws(FormatError) {
        guard let open = sections.last else { return }
        guard file.position == open.offset + open.length else {
            throw FormatError(path, "section \(open.name) got \(file.position - open.offset) bytes of \(open.length)")
        }
        sections[sections.count - 1].digest = hash.digest().bytes
    }

    /// Writes the header and maps the temporary file, so that the model can be run before ``commit()``. All sections must have
    /// been written.
    public func preview() throws(FormatError) -> PhiFile {
        try seal()
        return try PhiFile(MappedFile(file.temporaryPath, name: path))
    }

    /// Replaces the bytes of a section that has been written by others of the same length.
    public func replace(_ name: String, bytes: [UInt8]) throws(FormatError) {
        guard let number = sections.firstIndex(where: { $0.name == name }), sections[number].length == bytes.count
        else {
            throw FormatError(path, "has no section \(name) of \(bytes.count) bytes")
        }
        try bytes.withBytes { bytes throws(FormatError) in try file.write(bytes, at: sections[number].offset) }
        sections[number].digest = bytes.withUnsafeBytes { SHA256Digest($0) }.bytes
    }

    /// Writes the header, flushes the file to the disk and gives it its name.
    public func commit() throws(FormatError) {
        try seal()
        try file.commit()
    }

    private func begin(
        _ name: String, required: Bool, encodingNumber: UInt32, rows: Int, columns: Int, length: Int
    ) throws(FormatError) {
        guard PhiHeader.isName(name.utf8), length > 0, sections.count < sectionCount else {
            throw FormatError(path, "cannot take a section \(name.shown) of \(length) bytes")
        }
        let alignment = length >= Self.largeSection ? PhiHeader.alignments.upperBound : PhiHeader.alignments.lowerBound
        guard let offset = PhiHeader.align(file.position, to: alignment) else {
            throw FormatError(path, "would be too large")
        }
        // The gap is written out, not left as a hole, so that a full disk shows now.
        try file.append([UInt8](repeating: 0, count: offset - file.position))
        hash = SHA256Hash()
        sections.append(
            Section(
                name: name, isRequired: required, encodingNumber: encodingNumber, offset: offset, length: length,
                alignment: alignment, rows: rows, columns: columns, digest: [UInt8](repeating: 0, count: 32)))
    }

    private func seal() throws(FormatError) {
        guard sections.count == sectionCount else {
            throw FormatError(path, "has \(sections.count) sections of \(sectionCount)")
        }
        try PhiHeader.bytes(for: sections, minorVersion: minorVersion).withBytes { bytes throws(FormatError) in
            try file.write(bytes, at: 0)
        }
    }
}
