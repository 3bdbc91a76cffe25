import Foundation
import PhiFormat
import Testing

/// A folder for one test, removed with it.
package final class TemporaryFolder {
    package let path: String

    package init() throws {
        path = NSTemporaryDirectory() + "/phi-format-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file, over one of the same name, and opens it. The old one is overwritten and then cut to length: ext4 brings
    /// one that is first cut to nothing to the disk at once, and the fuzz tests write forty thousand.
    package func file(_ name: String, _ bytes: [UInt8]) throws -> ReadableFile {
        let descriptor = open(path + "/" + name, O_WRONLY | O_CREAT, 0o600)
        defer { close(descriptor) }
        try #require(write(descriptor, bytes, bytes.count) == bytes.count)
        try #require(ftruncate(descriptor, off_t(bytes.count)) == 0)
        return try ReadableFile(path: path + "/" + name)
    }
}
