import PhiFormat

/// The central directory of a zip archive whose entries are stored, not compressed, as torch writes them: APPNOTE 6.3.10,
/// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, with the zip64 fields of its section 4.5.3.
///
/// Entries must precede the directory without overlaps, and an entry's own header must agree with the directory. Checksums
/// are ignored: torch can be told not to compute them.
struct ZipDirectory {
    /// One stored file.
    struct Entry {
        let name: String
        /// Where its bytes begin in the archive.
        let offset: Int
        let size: Int
    }

    /// All entries in the order of their bytes.
    let entries: [Entry]

    /// The longest central directory that is read.
    private static let directoryLimit = 64 << 20

    /// Reads the directory of `file`, or throws ``FormatError`` with the first thing wrong with it.
    init(of file: ReadableFile) throws(FormatError) {
        let end = try ZipEnd(of: file)
        guard end.directorySize <= Self.directoryLimit, end.directorySize / 46 >= end.count else {
            throw FormatError(file.path, "has a zip directory of \(end.directorySize) bytes for \(end.count) entries")
        }
        let bytes = try file.readBytes(at: end.directoryOffset, count: end.directorySize)
        var cursor = ByteCursor(bytes, end: FormatError(file.path, "has a zip directory that breaks off"))
        var records: [ZipRecord] = []
        for _ in 0..<end.count { records.append(try ZipRecord(from: &cursor, of: file)) }
        guard cursor.isAtEnd else { throw FormatError(file.path, "has a zip directory longer than its entries") }

        var entries: [Entry] = []
        var names: Set<String> = []
        var covered = 0
        for record in records.sorted(by: { $0.headerOffset < $1.headerOffset }) {
            let offset = try record.dataOffset(in: file)
            guard names.insert(record.name).inserted else {
                throw FormatError(file.path, "holds two entries \(record.name.shown)")
            }
            guard record.headerOffset >= covered, record.size <= end.directoryOffset - offset else {
                throw FormatError(file.path, "has an entry \(record.name.shown) that lies over another")
            }
            covered = offset + record.size
            entries.append(Entry(name: record.name, offset: offset, size: record.size))
        }
        self.entries = entries
    }
}

/// Where the directory is and how many entries it has, from the last bytes of the archive.
private struct ZipEnd {
    let count: Int
    let directorySize: Int
    let directoryOffset: Int

    init(of file: ReadableFile) throws(FormatError) {
        let damaged = FormatError(
            file.path, "is not a whole zip archive: no directory at its end; if it was cut off, download it again")
        let tail = try file.readBytes(at: file.size - min(file.size, 65_557), count: min(file.size, 65_557))
        // The record is 22 bytes and a comment, whose length must lead to the end of the file.
        let found = stride(from: tail.count - 22, through: 0, by: -1).first { index in
            tail[index...].starts(with: [0x50, 0x4B, 5, 6])
                && tail.withUnsafeBytes { $0.littleEndian(at: index + 20, as: UInt16.self) } == tail.count - index - 22
        }
        guard let found else { throw damaged }
        var cursor = ByteCursor(Array(tail[found...]), end: damaged)
        _ = try cursor.take(4)
        let (disk, directoryDisk) = (try cursor.integer(UInt16.self), try cursor.integer(UInt16.self))
        let (countHere, count) = (try cursor.integer(UInt16.self), try cursor.integer(UInt16.self))
        let (size, offset) = (try cursor.integer(UInt32.self), try cursor.integer(UInt32.self))
        var values = (count: UInt64(count), size: UInt64(size), offset: UInt64(offset))
        var endOfDirectory = file.size - tail.count + found

        guard disk == directoryDisk, disk == 0 || disk == .max, countHere == count else {
            throw FormatError(file.path, "is one part of a split zip archive")
        }
        if let wide = try Self.zip64(before: endOfDirectory, in: file, damaged) {
            // Torch writes the zip64 record always; what fits in the short one stands there too.
            guard count == .max || UInt64(count) == wide.count, size == .max || UInt64(size) == wide.size,
                offset == .max || UInt64(offset) == wide.offset
            else { throw damaged }
            values = (wide.count, wide.size, wide.offset)
            endOfDirectory = wide.place
        }
        guard let entryCount = Int(exactly: values.count), let directorySize = Int(exactly: values.size),
            let directoryOffset = Int(exactly: values.offset), directoryOffset <= endOfDirectory,
            directorySize == endOfDirectory - directoryOffset
        else {
            throw FormatError(file.path, "has a zip directory that is not where its end says")
        }
        (self.count, self.directorySize, self.directoryOffset) = (entryCount, directorySize, directoryOffset)
    }

    /// The zip64 record, if a locator of 20 bytes before `end` leads to one: it has 56 bytes, and more that is not known.
    private static func zip64(
        before end: Int, in file: ReadableFile, _ damaged: FormatError
    ) throws(FormatError) -> (place: Int, count: UInt64, size: UInt64, offset: UInt64)? {
        guard end >= 20 + 56 else { return nil }
        var locator = ByteCursor(try file.readBytes(at: end - 20, count: 20), end: damaged)
        guard try locator.integer(UInt32.self) == 0x0706_4B50 else { return nil }
        _ = try locator.take(4)
        guard let place = Int(exactly: try locator.integer(UInt64.self)), place <= end - 20 - 56 else { throw damaged }
        var record = ByteCursor(try file.readBytes(at: place, count: 56), end: damaged)
        guard try record.integer(UInt32.self) == 0x0606_4B50 else { throw damaged }
        guard try record.integer(UInt64.self) == end - 20 - place - 12 else { throw damaged }
        _ = try record.take(2 + 2 + 4 + 4)
        let (countHere, count) = (try record.integer(UInt64.self), try record.integer(UInt64.self))
        guard countHere == count else { throw FormatError(file.path, "is one part of a split zip archive") }
        return (place, count, try record.integer(UInt64.self), try record.integer(UInt64.self))
    }
}

/// One record of the central directory.
private struct ZipRecord {
    let name: String
    let size: Int
    let headerOffset: Int

    init(from cursor: inout ByteCursor, of file: ReadableFile) throws(FormatError) {
        guard try cursor.integer(UInt32.self) == 0x0201_4B50 else {
            throw FormatError(file.path, "has a zip directory with a damaged record")
        }
        _ = try cursor.take(2 + 2)
        let (flags, method) = (try cursor.integer(UInt16.self), try cursor.integer(UInt16.self))
        _ = try cursor.take(2 + 2 + 4)
        let (packed, size) = (try cursor.integer(UInt32.self), try cursor.integer(UInt32.self))
        let (nameLength, extraLength) = (try cursor.integer(UInt16.self), try cursor.integer(UInt16.self))
        let (commentLength, disk) = (try cursor.integer(UInt16.self), try cursor.integer(UInt16.self))
        _ = try cursor.take(2 + 4)
        let offset = try cursor.integer(UInt32.self)
        let nameBytes = try cursor.take(Int(nameLength))
        let extra = try cursor.take(Int(extraLength))
        _ = try cursor.take(Int(commentLength))
        guard let name = String(strictUTF8: nameBytes) else {
            throw FormatError(file.path, "has a zip entry whose name is not UTF-8")
        }
        func refused(_ fault: String) -> FormatError {
            FormatError(file.path, "has a zip entry \(name.shown) \(fault)")
        }

        var values = (size: UInt64(size), packed: UInt64(packed), offset: UInt64(offset))
        if size == .max || packed == .max || offset == .max {
            // The zip64 extra field holds, in this order, only those that did not fit.
            var fields = ByteCursor(Array(extra), end: refused("without its zip64 sizes"))
            while true {
                let (tag, length) = (try fields.integer(UInt16.self), try fields.integer(UInt16.self))
                let field = try fields.take(Int(length))
                guard tag == 1 else { continue }
                var wide = ByteCursor(Array(field), end: refused("without its zip64 sizes"))
                if size == .max { values.size = try wide.integer(UInt64.self) }
                if packed == .max { values.packed = try wide.integer(UInt64.self) }
                if offset == .max { values.offset = try wide.integer(UInt64.self) }
                break
            }
        }
        guard flags & 1 == 0 else { throw refused("that is encrypted") }
        guard method == 0, values.size == values.packed else { throw refused("that is compressed") }
        guard disk == 0, let size = Int(exactly: values.size), let offset = Int(exactly: values.offset) else {
            throw refused("that lies outside the file")
        }
        (self.name, self.size, headerOffset) = (name, size, offset)
    }

    /// Where the bytes begin: after the entry's own header, which must have the same name.
    func dataOffset(in file: ReadableFile) throws(FormatError) -> Int {
        let damaged = FormatError(file.path, "has no zip entry \(name.shown) where its directory says")
        let headerSize = 30 + name.utf8.count
        guard headerOffset <= file.size - headerSize else { throw damaged }
        var header = ByteCursor(try file.readBytes(at: headerOffset, count: headerSize), end: damaged)
        guard try header.integer(UInt32.self) == 0x0403_4B50 else { throw damaged }
        _ = try header.take(22)
        let (nameLength, extraLength) = (try header.integer(UInt16.self), try header.integer(UInt16.self))
        guard try header.take(Int(nameLength)).elementsEqual(name.utf8) else { throw damaged }
        return headerOffset + headerSize + Int(extraLength)
    }
}
