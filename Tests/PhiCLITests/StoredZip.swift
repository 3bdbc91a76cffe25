/// A zip archive of entries that are not compressed, as torch.save makes them.
enum StoredZip {
    static func archive(_ entries: [(name: String, bytes: [UInt8])]) -> [UInt8] {
        var file: [UInt8] = []
        var directory: [UInt8] = []
        for (name, bytes) in entries {
            let common =
                number(20, 2) + number(0, 8) + number(0, 4) + number(bytes.count, 4) + number(bytes.count, 4)
                + number(name.utf8.count, 2) + number(0, 2)
            directory += [0x50, 0x4B, 1, 2, 20, 0] + common + number(0, 10) + number(file.count, 4) + Array(name.utf8)
            file += [0x50, 0x4B, 3, 4] + common + Array(name.utf8) + bytes
        }
        let counts = number(entries.count, 2) + number(entries.count, 2)
        let places = number(directory.count, 4) + number(file.count, 4)
        return file + directory + [0x50, 0x4B, 5, 6, 0, 0, 0, 0] + counts + places + [0, 0]
    }

    private static func number(_ value: Int, _ bytes: Int) -> [UInt8] {
        (0..<bytes).map { $0 < 8 ? UInt8(truncatingIfNeeded: value >> (8 * $0)) : 0 }
    }
}
