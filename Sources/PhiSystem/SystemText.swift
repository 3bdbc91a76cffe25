/// Reader of small files of /proc, which have no size before they are read, and of its folders.
package enum SystemText {
    /// The first 4 KB of the file at `path`; nil when it cannot be read.
    package static func read(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = fread(&bytes, 1, bytes.count, file)
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }

    /// The names in the folder at `path`, which need not be UTF-8; nil when it cannot be read, and `errno` says why.
    package static func names(in path: UnsafePointer<CChar>) -> [[UInt8]]? {
        guard let folder = opendir(path) else { return nil }
        defer { closedir(folder) }
        var names: [[UInt8]] = []
        while let entry = readdir(folder) {
            names.append(withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) })
        }
        return names
    }

    /// The names that are numbers, such as those of tasks and descriptors; nil when the folder cannot be read.
    package static func numbers(in path: String) -> [Int32]? {
        names(in: path)?.compactMap { Int32(String(decoding: $0, as: UTF8.self)) }
    }
}
