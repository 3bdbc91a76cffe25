import Foundation
import PhiFormat
import Testing

/// A folder for one test, removed with it.
package final class TemporaryFolder: Sendable {
    package let path: String

    package init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("swift-phi-" + UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { remove() }

    package func remove() { try? FileManager.default.removeItem(atPath: path) }

    /// The path of `name` in it.
    package func at(_ name: String) -> String { path + "/" + name }

    /// Names of its files and folders, hidden ones too.
    package var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }

    /// Makes a folder; returns its path.
    @discardableResult
    package func makeFolder(_ name: String) throws -> String {
        try FileManager.default.createDirectory(atPath: at(name), withIntermediateDirectories: false)
        return at(name)
    }

    /// Writes a file, over one of the same name; returns its path.
    @discardableResult
    package func write(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
        try Data(bytes).write(to: URL(fileURLWithPath: at(name)))
        return at(name)
    }

    @discardableResult
    package func write(_ name: String, _ text: String) throws -> String { try write(name, text.utf8) }

    /// Writes a file, over one of the same name, and opens it. The old one is overwritten and then cut to length: ext4 writes
    /// a file that is first cut to nothing to the disk at once, and the fuzz tests write forty thousand.
    package func file(_ name: String, _ bytes: [UInt8]) throws -> ReadableFile {
        let descriptor = open(at(name), O_WRONLY | O_CREAT, 0o600)
        defer { close(descriptor) }
        try #require(Foundation.write(descriptor, bytes, bytes.count) == bytes.count)
        try #require(ftruncate(descriptor, off_t(bytes.count)) == 0)
        return try ReadableFile(path: at(name))
    }
}

/// Whether the file system of a folder takes a sparse file of `size` bytes.
package func takesSparseFiles(_ folder: String, size: Int) -> Bool {
    var template = Array("\(folder)/swift-phi-XXXXXX".utf8CString)
    let file = mkstemp(&template)
    guard file >= 0 else { return false }
    unlink(template)
    defer { close(file) }
    return ftruncate(file, off_t(size)) == 0
}

/// The bytes of the file at `path`.
package func readFile(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }

/// The path of a file of this repository.
package func repositoryFile(_ path: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../" + path)
        .standardizedFileURL.path
}
