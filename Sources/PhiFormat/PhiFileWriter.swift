import CPhiKernels

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Writes a `.phi` file section by section, under a temporary name beside its own until ``commit()``.
///
/// The header is written last, so a file that was not finished is refused by every reader; and a writer that goes away
/// before ``commit()`` takes its temporary file along.
public final class PhiFileWriter {
    /// Where the finished file will be.
    public let path: String
    /// Where it is until then.
    public let temporaryPath: String
    private let descriptor: Int32
    private let sectionCount: Int
    private var sections: [Section] = []
    private var position: Int
    private var hash = phi_sha256()
    private var isCommitted = false

    /// Sections of this size and more start on a 64 KiB boundary, smaller ones on a 64-byte one.
    static let largeSection = 1 << 20

    /// Starts a file of `sectionCount` sections at `path`. Throws ``FormatError`` when something is there that may not be
    /// replaced, or nothing can be written there.
    public init(path: String, sectionCount: Int, overwrite: Bool) throws(FormatError) {
        switch PathKind(path) {
        case .directory: throw FormatError(path, "is a directory")
        case .other: throw FormatError(path, "is not a regular file")
        case .file where !overwrite: throw FormatError(path, "exists already; --force replaces it")
        case .file, .missing: break
        }
        self.path = path
        self.sectionCount = sectionCount
        temporaryPath = "\(path).\(getpid()).part"
        descriptor = open(temporaryPath, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FormatError(path, "cannot be written: " + String(cString: strerror(errno))) }
        position = PhiHeader.size(sections: sectionCount)
    }

    deinit {
        close(descriptor)
        if !isCommitted { unlink(temporaryPath) }
    }

    /// Writes a section of plain bytes.
    public func write(_ name: String, required: Bool, bytes: [UInt8]) throws(FormatError) {
        try begin(name, required: required, encodingNumber: 0, rows: 0, columns: 0, length: bytes.count)
        try append(bytes)
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
        try write(bytes, at: position)
        phi_sha256_add(&hash, bytes.baseAddress, bytes.count)
        position += bytes.count
    }

    /// Closes the open section.
    public func end() throws(FormatError) {
        guard let open = sections.popLast() else { return }
        guard position == open.offset + open.length else {
            throw FormatError(path, "section \(open.name) got \(position - open.offset) bytes of \(open.length)")
        }
        sections.append(open.with(digest: SHA256Digest(finishing: &hash).bytes))
    }

    /// Writes the header as of now and maps the temporary file, so that what has been written can be tried. All
    /// sections must be there.
    public func preview() throws(FormatError) -> PhiFile {
        try seal()
        return try PhiFile(MappedFile(path: temporaryPath))
    }

    /// Puts other bytes of the same length into a section that has been written.
    public func replace(_ name: String, bytes: [UInt8]) throws(FormatError) {
        guard let number = sections.firstIndex(where: { $0.name == name }), sections[number].length == bytes.count else {
            throw FormatError(path, "has no section \(name) of \(bytes.count) bytes")
        }
        try bytes.withBytes { bytes throws(FormatError) in try write(bytes, at: sections[number].offset) }
        sections[number] = sections[number].with(digest: bytes.withUnsafeBytes { SHA256Digest($0) }.bytes)
    }

    /// Writes the header, makes sure that everything is on the disk, and gives the file its name.
    public func commit() throws(FormatError) {
        try seal()
        guard fsync(descriptor) == 0, rename(temporaryPath, path) == 0 else { throw failure() }
        isCommitted = true
        let parent = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let folder = open(parent, O_RDONLY | O_CLOEXEC)
        if folder >= 0 {
            _ = fsync(folder)
            close(folder)
        }
    }

    private func begin(
        _ name: String, required: Bool, encodingNumber: UInt32, rows: Int, columns: Int, length: Int
    ) throws(FormatError) {
        guard PhiHeader.isName(name.utf8), length > 0, sections.count < sectionCount else {
            throw FormatError(path, "cannot take a section \(name.shown) of \(length) bytes")
        }
        let alignment = length >= Self.largeSection ? PhiHeader.alignments.upperBound : PhiHeader.alignments.lowerBound
        guard let offset = PhiHeader.align(position, to: alignment) else {
            throw FormatError(path, "would be too large")
        }
        // The gap is written out, not left as a hole, so that a full disk shows now.
        let gap = [UInt8](repeating: 0, count: offset - position)
        try gap.withBytes { bytes throws(FormatError) in try write(bytes, at: position) }
        position = offset
        phi_sha256_begin(&hash)
        sections.append(
            Section(
                name: name, isRequired: required, encodingNumber: encodingNumber, offset: offset, length: length,
                alignment: alignment, rows: rows, columns: columns, digest: [UInt8](repeating: 0, count: 32)))
    }

    private func append(_ bytes: [UInt8]) throws(FormatError) {
        try bytes.withBytes { bytes throws(FormatError) in try append(bytes) }
    }

    private func seal() throws(FormatError) {
        guard sections.count == sectionCount else {
            throw FormatError(path, "has \(sections.count) sections of \(sectionCount)")
        }
        var fault: FormatError?
        PhiHeader.bytes(for: sections).withUnsafeBytes { bytes in
            do throws(FormatError) { try write(bytes, at: 0) } catch { fault = error }
        }
        if let fault { throw fault }
    }

    private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FormatError) {
        var done = 0
        while done < bytes.count {
            let piece = UnsafeRawBufferPointer(rebasing: bytes[done..<min(done + 1 << 28, bytes.count)])
            let moved = pwrite(descriptor, piece.baseAddress, piece.count, off_t(offset + done))
            if moved > 0 {
                done += moved
            } else if moved == 0 || errno != EINTR {
                throw failure()
            }
        }
    }

    private func failure() -> FormatError {
        FormatError(path, "cannot be written: " + String(cString: strerror(errno)))
    }
}

extension Section {
    fileprivate func with(digest: [UInt8]) -> Section {
        Section(
            name: name, isRequired: isRequired, encodingNumber: encodingNumber, offset: offset, length: length,
            alignment: alignment, rows: rows, columns: columns, digest: digest)
    }
}

extension Array where Element: BitwiseCopyable {
    /// The elements as bytes, for a body whose errors keep their type.
    fileprivate func withBytes(
        _ body: (UnsafeRawBufferPointer) throws(FormatError) -> Void
    ) throws(FormatError) {
        var fault: FormatError?
        withUnsafeBytes { bytes in
            do throws(FormatError) { try body(bytes) } catch { fault = error }
        }
        if let fault { throw fault }
    }
}
