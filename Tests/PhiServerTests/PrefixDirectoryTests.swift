import Foundation
import Phi
import PhiFormat
import PhiServer
import PhiTestSupport
import Synchronization
import Testing

/// Prefixes that survive a restart.
struct PrefixDirectoryTests {
    private let engine: Engine
    private let folder: TemporaryFolder
    private let place: FilePath
    private let lines = Lines()
    private let scope = CacheScope(key: Array("key".utf8).withUnsafeBytes { SHA256Digest($0) })
    private let ids = Array(0..<100 as Range<Int32>)

    private final class Lines: Sendable {
        private let all = Mutex<[String]>([])
        func add(_ line: String) { all.withLock { $0.append(line) } }
        var text: [String] { all.withLock { $0 } }
    }

    init() throws {
        engine = try Engine(#require(TestServer.model), threads: 1)
        folder = try TemporaryFolder()
        place = FilePath(folder.at("prefixes"))
    }

    private func new() throws(SessionError) -> Session { try Session(engine) }

    private func open(limit: Int = 1 << 30, model: LanguageModel? = nil) throws -> PrefixDirectory {
        let model = model ?? engine.model
        return try PrefixDirectory(place, limit: limit, model, model.cacheEncoding, context: 1024) { [lines] in
            lines.add($0)
        }
    }

    /// Saves sequences as a server does that ends.
    private func save(_ sequences: [[Int32]], of scope: CacheScope, limit: Int = 1 << 30) throws {
        var cache = PrefixCache(limit: 1 << 30, directory: try open(limit: limit))
        for ids in sequences {
            let session = try new()
            try session.append(ids)
            cache.insert(session, of: scope)
        }
        cache.saveAll()
    }

    /// What a server that starts finds for a prompt.
    private func found(_ prompt: [Int32], of scope: CacheScope) throws -> [Int32]? {
        var cache = PrefixCache(limit: 1 << 30, directory: try open())
        return try cache.session(for: prompt, of: scope, running: [], make: new)?.tokens
    }

    private var files: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: place.description)) ?? []).sorted()
    }
    private var prefixes: [String] { files.filter { $0.hasSuffix(".prefix") }.map { place.description + "/" + $0 } }

    private func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test func prefixesSurviveARestart() throws {
        try save([ids], of: scope)
        var cache = PrefixCache(limit: 1 << 30, directory: try open())
        let restored = try #require(try cache.session(for: ids + [7], of: scope, running: [], make: new))
        #expect(restored.tokens == ids)
        func bits(_ session: Session) throws -> [UInt32] {
            try #require(session.withLogits { $0.map(\.bitPattern) })
        }
        try restored.append([7])
        let afterwards = try bits(restored)
        let computed = try new()
        try computed.append(ids + [7])
        #expect(try bits(computed) == afterwards)
        // A part of it, and what is too short to be read.
        let branch = try cache.session(for: Array(ids[..<80]) + [9, 9], of: scope, running: [], make: new)
        #expect(branch?.tokens == Array(ids[..<80]))
        #expect(try cache.session(for: Array(ids[..<40]) + [9, 9], of: scope, running: [], make: new) == nil)
        #expect(lines.text == [])
    }

    @Test func filesAreThisUsersAloneAndKeysApart() throws {
        try save([ids], of: scope)
        for file in files {
            #expect(try mode(place.description + "/" + file) == 0o600, "\(file)")
        }
        #expect(try mode(place.description) == 0o700)
        let digest = try #require(scope.key).description
        #expect(!files.joined().contains(digest.prefix(8)))
        let other = CacheScope(key: Array("other".utf8).withUnsafeBytes { SHA256Digest($0) })
        for scope in [other, CacheScope(), CacheScope(key: scope.key, salts: ["salt"])] {
            #expect(try found(ids + [7], of: scope) == nil)
        }
        #expect(try found(ids + [7], of: scope) == ids)
        // With another salt, nobody's.
        try FileManager.default.removeItem(atPath: place.description + "/salt")
        #expect(try found(ids + [7], of: scope) == nil)
    }

    @Test func aLongerPrefixReplacesItsBeginning() throws {
        try save([Array(ids[..<70])], of: scope)
        try save([ids, Array(ids[..<90])], of: scope)
        #expect(prefixes.count == 1)
        #expect(try found(ids + [7], of: scope) == ids)
    }

    @Test func theLimitHolds() throws {
        try save([ids], of: scope)
        let size = try #require(FileManager.default.attributesOfItem(atPath: prefixes[0])[.size] as? Int)
        let sequences = (1...4).map { shift in ids.map { $0 + 200 * Int32(shift) } }
        try save(sequences, of: scope, limit: 3 * size)
        #expect(prefixes.count == 3)
        #expect(try found(sequences[3] + [7], of: scope) == sequences[3])
        #expect(try found(ids + [7], of: scope) == nil)
        // A smaller limit is kept at once, and nothing larger is saved.
        #expect(try open(limit: size).count == 1)
        try save([ids + ids], of: scope, limit: size)
        #expect(prefixes.count == 1 && lines.text.count == 1)
        #expect(lines.text.first?.contains("is not saved: the limit of all is \(size)") == true, "\(lines.text)")
    }

    /// Prefixes of other encodings are other files, which a server that cannot use them leaves alone.
    @Test func encodingsDoNotReplaceEachOther() throws {
        func save(_ sequences: [[Int32]], _ encoding: CacheEncoding) throws {
            let directory = try PrefixDirectory(place, limit: 1 << 30, engine.model, encoding, context: 1024) {
                [lines] in lines.add($0)
            }
            var cache = PrefixCache(limit: 1 << 30, directory: directory)
            for ids in sequences {
                let session = try Session(engine, cache: encoding)
                try session.append(ids)
                cache.insert(session, of: scope)
            }
            cache.saveAll()
        }
        let others = ids.map { $0 + 300 }
        try save([ids, others], .f16)
        try save([ids, ids.map { $0 + 600 }], .f32)
        #expect(prefixes.count == 4)
        for encoding in [CacheEncoding.f16, .f32] {
            let directory = try PrefixDirectory(place, limit: 1 << 30, engine.model, encoding, context: 1024) {
                [lines] in lines.add($0)
            }
            var cache = PrefixCache(limit: 1 << 30, directory: directory)
            let found = try cache.session(for: ids + [7], of: scope, running: []) { () throws(SessionError) in
                try Session(engine, cache: encoding)
            }
            #expect(found?.tokens == ids)
            cache.saveAll()
        }
        #expect(lines.text == [])
    }

    /// What memory has no room for is saved.
    @Test func aPrefixThatDoesNotFitIsSaved() throws {
        var cache = PrefixCache(limit: 1, directory: try open())
        let session = try new()
        try session.append(ids)
        cache.insert(session, of: scope)
        cache.saveAll()
        #expect(try found(ids + [7], of: scope) == ids)
    }

    @Test func damageIsReportedAndDeleted() throws {
        for damage in 0..<3 {
            try save([ids], of: scope)
            var bytes = try readFile(prefixes[0])
            switch damage {
            case 0: bytes[bytes.count / 2] ^= 1  // found by the hash
            case 1: bytes.removeLast(1000)  // torn
            default: bytes = []
            }
            let name = prefixes[0]
            try Data(bytes).write(to: URL(fileURLWithPath: name), options: [])
            chmod(name, 0o600)
            #expect(try found(ids + [7], of: scope) == nil)
            #expect(lines.text.count == damage + 1 && prefixes == [], "\(lines.text)")
        }
    }

    @Test func filesThatOthersMayWriteAreLeftAlone() throws {
        try save([ids], of: scope)
        let name = prefixes[0]
        chmod(name, 0o666)
        #expect(try found(ids + [7], of: scope) == nil)
        #expect(lines.text.count == 1 && lines.text[0].contains("is open to other users"))
        chmod(name, 0o600)
        let elsewhere = folder.at("elsewhere")
        try FileManager.default.moveItem(atPath: name, toPath: elsewhere)
        try FileManager.default.createSymbolicLink(atPath: name, withDestinationPath: elsewhere)
        #expect(try found(ids + [7], of: scope) == nil)
        #expect(lines.text.count == 2 && lines.text[1].contains("is a link"))
        #expect(prefixes == [name] && FileManager.default.fileExists(atPath: elsewhere))
        // A pipe, a directory, and names that are not of prefixes.
        try FileManager.default.removeItem(atPath: name)
        #expect(mkfifo(name, 0o600) == 0)
        let part = String(repeating: "0", count: 32)
        let directory = place.description + "/\(part)-\(part)-\(part).prefix"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        try Data("x".utf8).write(to: URL(fileURLWithPath: place.description + "/x.prefix"))
        #expect(try found(ids + [7], of: scope) == nil)
        #expect(lines.text.count == 4 && lines.text[2...].allSatisfy { $0.contains("is not a regular file") })
        #expect(files.contains("x.prefix"))
    }

    @Test func otherModelsPrefixesAreNotUsedButCount() throws {
        let other = try TinyPhi(tokens: 290, context: 1024).model(.q8)
        try save([ids], of: scope)
        let directory = try open(model: other)
        #expect(directory.count == 1 && directory.bytes > 0 && lines.text == [])
        var cache = PrefixCache(limit: 1 << 30, directory: directory)
        let otherEngine = try Engine(other, threads: 1)
        let found = try cache.session(for: ids + [7], of: scope, running: []) { () throws(SessionError) in
            try Session(otherEngine)
        }
        #expect(found == nil)
    }

    /// It has the name of this version's, which takes its place.
    @Test func anotherVersionsSnapshotIsReplaced() throws {
        try save([ids], of: scope)
        var bytes = try readFile(prefixes[0])
        bytes[64] ^= 1  // the version's first character
        try Data(bytes).write(to: URL(fileURLWithPath: prefixes[0]))
        #expect(try found(ids + [7], of: scope) == nil)
        let directory = try open()
        #expect(directory.count == 1)
        var cache = PrefixCache(limit: 1 << 30, directory: directory)
        let session = try new()
        try session.append(ids)
        cache.insert(session, of: scope)
        cache.saveAll()
        #expect(directory.count == 1 && directory.bytes == bytes.count && prefixes.count == 1)
        #expect(try found(ids + [7], of: scope) == ids)
        #expect(lines.text == [])
    }

    /// A clock that was wrong once does not keep a server from starting.
    @Test func filesMayBeOfAnyTime() throws {
        try save([ids], of: scope)
        let year2264 = timespec(tv_sec: 9_300_000_000, tv_nsec: 0)  // beyond 2^63 nanoseconds
        var times = [year2264, year2264]
        try #require(utimensat(AT_FDCWD, prefixes[0], &times, 0) == 0)
        #expect(try found(ids + [7], of: scope) == ids)
    }

    /// Sparse files, whose sizes together are beyond any number; a file system in memory takes them.
    @Test(.enabled(if: takesSparseFiles("/dev/shm", size: .max - 4096), "needs /dev/shm and files of any size there"))
    func filesMayBeOfAnySize() throws {
        try save([ids], of: scope)
        let header = Array(try readFile(prefixes[0]).prefix(96))
        let there = FilePath("/dev/shm/swift-phi-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(atPath: there.description) }
        try FileManager.default.createDirectory(
            atPath: there.description, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        let size = Int.max - 4096
        for digit in 0..<3 {
            var header = header
            withUnsafeBytes(of: UInt64(size).littleEndian) { header.replaceSubrange(16..<24, with: $0) }
            withUnsafeBytes(of: UInt64(1).littleEndian) { header.replaceSubrange(24..<32, with: $0) }
            let part = String(repeating: "\(digit)", count: 32)
            let path = "\(there)/\(part)-\(part)-\(part).prefix"
            try Data(header).write(to: URL(fileURLWithPath: path))
            chmod(path, 0o600)
            try #require(truncate(path, off_t(size)) == 0)
        }
        let model = engine.model
        let directory = try PrefixDirectory(there, limit: 1 << 30, model, model.cacheEncoding, context: 1024) {
            [lines] in lines.add($0)
        }
        #expect(directory.count == 0 && directory.bytes == 0)
    }

    @Test func whatAKilledServerLeavesIsDeleted() throws {
        try save([ids], of: scope)
        let part = prefixes[0] + ".12345.part"
        try Data("half".utf8).write(to: URL(fileURLWithPath: part))
        _ = try open()
        #expect(!FileManager.default.fileExists(atPath: part) && prefixes.count == 1)
    }

    @Test func onlyOneServerUsesIt() throws {
        let first = try open()
        #expect(throws: FormatError(place, "is used by another phi-server")) { try open() }
        _ = first.count
    }

    @Test func directoriesOfOthersAreRefused() throws {
        try FileManager.default.createDirectory(atPath: place.description, withIntermediateDirectories: false)
        for mode in [0o755, 0o770, 0o702, 0o701] as [mode_t] {
            chmod(place.description, mode)
            #expect(throws: FormatError(place, "is open to other users; chmod go= closes it")) { try open() }
        }
        chmod(place.description, 0o700)
        _ = try open()
        let link = FilePath(folder.at("link"))
        try FileManager.default.createSymbolicLink(atPath: link.description, withDestinationPath: place.description)
        let file = FilePath(try folder.write("file", "text"))
        for (path, fault) in [
            (link, "is a link, which is not followed"), (file, "is not a directory"),
            (FilePath(folder.at("a/b")), "cannot be made: No such file or directory"),
        ] {
            #expect(throws: FormatError(path, fault)) {
                try PrefixDirectory(path, limit: 1, engine.model, .q8, context: 1024) { _ in }
            }
        }
    }
}
