import Foundation
import Phi
import PhiFormat
import PhiTestSupport
import Testing

/// Snapshots in files.
struct SnapshotFileTests {
    private let model: LanguageModel
    private let folder: TemporaryFolder
    private let path: String

    init() throws {
        model = try TinyPhi().model(.q4)
        folder = try TemporaryFolder()
        path = folder.at("snapshot")
    }

    private func session(_ count: Int) throws -> Session {
        let session = try Session(model, threads: 1)
        try session.append(Seeded.ids(count, vocabulary: 250))
        return session
    }

    @Test(arguments: [0, 1, 15, 16, 17, 70]) func filesHoldTheSameBytes(_ count: Int) throws {
        let session = try session(70)
        try session.save(first: count, to: path)
        #expect(try readFile(path) == session.save(first: count))
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600 && folder.names == ["snapshot"])
        let other = try self.session(3)
        #expect(try other.restore(from: path))
        #expect(other.tokens == Array(session.tokens.prefix(count)))
        #expect(other.save() == session.save(first: count))
    }

    /// A sparse file of a terabyte: nobody waits until it is read.
    @Test(.enabled(if: takesSparseFiles(NSTemporaryDirectory(), size: 1 << 40), "no sparse files of a terabyte here"))
    func filesLargerThanAnySnapshotAreNotRead() throws {
        let session = try session(20)
        var header = Array(session.save().prefix(96))
        let size = 1 << 40
        withUnsafeBytes(of: UInt64(size).littleEndian) { header.replaceSubrange(16..<24, with: $0) }
        try folder.write("snapshot", header)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        try #require(truncate(path, off_t(size)) == 0)
        #expect(throws: SnapshotError.damaged) { try session.restore(from: path) }
        let other = try Session(TinyPhi(seed: 2).model(.q4), threads: 1)
        #expect(throws: SnapshotError.otherModel) { try other.restore(from: path) }
    }

    @Test func filesThatDoNotFitChangeNothing() throws {
        let session = try session(20)
        #expect(try session.restore(from: folder.at("none")) == false)
        try session.save(to: path)
        let saved = try readFile(path)
        let reader = try self.session(3)
        let before = reader.save()
        func expect(_ error: SnapshotError, _ bytes: some Sequence<UInt8>) throws {
            try folder.write("snapshot", bytes)
            #expect(throws: error) { try reader.restore(from: path) }
        }
        try expect(.notASnapshot, [])
        try expect(.notASnapshot, Array("text".utf8))
        for count in [1, 8, 95, 96, 127, 128, 1000, saved.count - 1] { try expect(.damaged, saved.prefix(count)) }
        for place in stride(from: 12, to: saved.count, by: 501) {
            var altered = saved
            altered[place] ^= 1
            try expect(.damaged, altered)
        }
        var release = Array(saved.dropLast(32))
        release[64] ^= 1
        try expect(.otherRelease, release + release.withUnsafeBytes { SHA256Digest($0).bytes })
        let directory = FormatError(folder.path, "is not a regular file")
        #expect(throws: SnapshotError.file(directory)) { try reader.restore(from: folder.path) }
        let unwritten = FormatError(folder.path, "is a directory")
        #expect(throws: SnapshotError.file(unwritten)) { try reader.save(to: folder.path) }
        #expect(reader.save() == before && folder.names == ["snapshot"])
    }

    /// A file that says more tokens than it has bytes is not believed.
    @Test func lengthsAreNotTrusted() throws {
        try session(5).save(to: path)
        for count: UInt8 in [6, 128, 255] {
            var bytes = Array(try readFile(path).dropLast(32))
            bytes[24] = count
            try folder.write("forged", bytes + bytes.withUnsafeBytes { SHA256Digest($0).bytes })
            #expect(throws: SnapshotError.self) { try session(1).restore(from: folder.at("forged")) }
        }
    }

    /// Pages that are in use count, whatever has been in them.
    @Test func residentMemoryIsThatOfAllPagesWritten() throws {
        let session = try session(100)
        let full = session.residentBytes
        session.truncate(to: 1)
        #expect(session.residentBytes == full)
        let short = try session.fork()
        #expect(short.residentBytes > 0 && short.residentBytes <= full && full <= session.cacheBytes + 4 * 128 + 16384)
    }
}
