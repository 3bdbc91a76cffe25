import Foundation
import PhiFormat
import PhiTestSupport
import Testing

@Suite struct ReadableFileTests {
    @Test func readsByPosition() throws {
        let folder = try TemporaryFolder()
        let file = try folder.file("a", Array(0...255))
        #expect(file.size == 256)
        #expect(try file.readBytes(at: 250, count: 6) == [250, 251, 252, 253, 254, 255])
        #expect(try file.readBytes(at: 256, count: 0) == [])
        #expect(try file.readAll(limit: 256).count == 256)
        #expect(fault { _ = try file.readAll(limit: 255) } == "is 256 bytes long; at most 255 are expected")
    }

    @Test(arguments: [(0, 257), (256, 1), (257, 0), (-1, 1), (0, -1), (Int.max, 1), (1, Int.max), (0, Int.max)])
    func refusesWhatIsNotThere(_ offset: Int, _ count: Int) throws {
        let folder = try TemporaryFolder()
        let file = try folder.file("a", Array(0...255))
        #expect(fault { _ = try file.readBytes(at: offset, count: count) }.hasPrefix("is too short"))
    }

    @Test func aFileCutShortIsAFault() throws {
        let folder = try TemporaryFolder()
        let file = try folder.file("a", Array(0...255))
        #expect(truncate(file.path, 100) == 0)
        #expect(fault { _ = try file.readBytes(at: 0, count: 256) } == "was cut short while it was read")
    }

    @Test func namesWhatAPathLeadsTo() throws {
        let folder = try TemporaryFolder()
        #expect(fault { _ = try ReadableFile(path: folder.path) } == "is a directory")
        #expect(fault { _ = try ReadableFile(path: folder.path + "/none") } == "no such file")
        #expect(fault { _ = try ReadableFile(path: folder.path + "/none\0") } == "is not a path: it holds a zero byte")
        #expect(mkfifo(folder.path + "/pipe", 0o600) == 0)
        #expect(fault { _ = try ReadableFile(path: folder.path + "/pipe") } == "is not a regular file")
        _ = try folder.file("real", [7])
        #expect(symlink("real", folder.path + "/link") == 0)
        #expect(try ReadableFile(path: folder.path + "/link").readAll(limit: 1) == [7])
        #expect(symlink("nowhere", folder.path + "/dangling") == 0)
        #expect(fault { _ = try ReadableFile(path: folder.path + "/dangling") } == "is a link to nothing: no such file")
        #expect(FilePath("a").parent.bytes == Array(".".utf8) && FilePath("/a").parent == FilePath("/"))
        #expect(FilePath("/a//b").name == "b" && FilePath("/").name == "/")
        let odd = FilePath(folder.path).appending(bytes: [0xFF, 0xFE])
        try AtomicFile(odd, overwrite: false).commit()
        #expect(try ReadableFile(odd).path == folder.path + "/\u{FFFD}\u{FFFD}")
        #expect(try PathKind.contents(of: FilePath(folder.path)).contains(odd))
    }

    // Digests from Python's hashlib.
    @Test(arguments: [
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        (3_000_000, "2a152c894398719c0570f83fac34ac03a0f6e8e474b995c2403aa5434f7b9dd4"),
    ])
    func hashesInPieces(_ count: Int, _ digest: String) throws {
        let folder = try TemporaryFolder()
        #expect(try folder.file("a", [UInt8](repeating: 0x61, count: count)).sha256() == digest)
    }
}
