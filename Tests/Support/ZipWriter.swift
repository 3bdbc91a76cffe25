/// A zip archive of stored entries, written by hand so that tests can write wrong ones.
package struct ZipWriter {
    package var bytes: [UInt8] = []
    private var directory: [UInt8] = []
    private var count = 0
    package var method: UInt16 = 0
    package var flags: UInt16 = 0
    /// Sizes and offsets in zip64 fields, as in archives of more than 4 GiB.
    package var isWide = false

    package init() {}

    package mutating func add(_ name: String, _ content: [UInt8]) {
        let offset = bytes.count
        let size = UInt32(content.count)
        let head = littleEndian(UInt16(45)) + littleEndian(flags) + littleEndian(method) + [0, 0, 0, 0, 0, 0, 0, 0]
        let wide = [1, 0, 24, 0] + (0..<2).flatMap { _ in littleEndian(UInt64(size)) } + littleEndian(UInt64(offset))
        let sizes = isWide ? [UInt8](repeating: 0xFF, count: 8) : littleEndian(size) + littleEndian(size)
        let nameLength = littleEndian(UInt16(name.utf8.count))
        bytes += [0x50, 0x4B, 3, 4] + head + littleEndian(size) + littleEndian(size) + nameLength + [3, 0]
        bytes += Array(name.utf8) + [0, 0, 0] + content
        directory += [0x50, 0x4B, 1, 2, 0, 0] + head + sizes + nameLength + [isWide ? 28 : 0, 0, 0, 0, 0, 0, 0, 0]
        directory += [0, 0, 0, 0] + (isWide ? [0xFF, 0xFF, 0xFF, 0xFF] : littleEndian(UInt32(offset)))
        directory += Array(name.utf8) + (isWide ? wide : [])
        count += 1
    }

    package func finished() -> [UInt8] {
        let counts = littleEndian(UInt16(count)) + littleEndian(UInt16(count))
        var end = directory
        if isWide {
            let record = end.count + bytes.count
            let numbers = [count, count, directory.count, bytes.count].flatMap { littleEndian(UInt64($0)) }
            end += [0x50, 0x4B, 6, 6] + littleEndian(UInt64(44)) + [45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0] + numbers
            end += [0x50, 0x4B, 6, 7, 0, 0, 0, 0] + littleEndian(UInt64(record)) + [1, 0, 0, 0]
        }
        let sizes = littleEndian(UInt32(directory.count)) + littleEndian(UInt32(bytes.count))
        let last = isWide ? [UInt8](repeating: 0xFF, count: 12) : counts + sizes
        return bytes + end + [0x50, 0x4B, 5, 6, 0, 0, 0, 0] + last + [0, 0]
    }

    /// An archive of these entries.
    package static func archive(_ entries: [(name: String, bytes: [UInt8])]) -> [UInt8] {
        var zip = ZipWriter()
        for entry in entries { zip.add(entry.name, entry.bytes) }
        return zip.finished()
    }

    /// A torch archive with this pickle and the storage "0".
    package static func torch(
        pickle: [UInt8], storage: [UInt8] = [], order: String = "little", _ change: (inout ZipWriter) -> Void = { _ in }
    ) -> [UInt8] {
        var zip = ZipWriter()
        change(&zip)
        zip.add("m/data.pkl", pickle)
        zip.add("m/byteorder", Array(order.utf8))
        zip.add("m/data/0", storage)
        return zip.finished()
    }
}

/// Little-endian bytes.
package func littleEndian<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    (0..<Value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}
