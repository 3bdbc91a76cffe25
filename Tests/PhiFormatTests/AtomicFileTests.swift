import Foundation
import PhiFormat
import PhiTestSupport
import Testing

/// Files that appear when they are complete, and remains of those that were not completed.
struct AtomicFileTests {
    /// The number of a process that has ended.
    private func endedProcess() throws -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "exit"]
        try process.run()
        process.waitUntilExit()
        return process.processIdentifier
    }

    @Test func removesWhatAKilledProcessLeft() throws {
        let folder = try TemporaryFolder()
        let ended = try endedProcess()
        let others = [
            "b.phi.\(ended).part", "a.phi.\(ended).part2", "a.phi.x.part", "a.phi.part", "a.phi.\(getppid()).part",
            "a.phi.-\(ended).part",
        ]
        for name in others + ["a.phi.\(ended).part"] { try folder.write(name, "some") }
        try AtomicFile(FilePath(folder.at("a.phi")), overwrite: false).commit()
        #expect(Set(folder.names) == Set(others + ["a.phi"]))
    }

    /// As in a container, whose first process always has the number 1.
    @Test func anEarlierProcessMayHaveHadThisNumber() throws {
        let folder = try TemporaryFolder()
        for end in ["", ".1", ".999999"] { try folder.write("a.phi.\(getpid())\(end).part", "some") }
        let path = FilePath(folder.at("a.phi"))
        let first = try AtomicFile(path, overwrite: true), second = try AtomicFile(path, overwrite: true)
        #expect(folder.names.count == 2)
        try first.append([1])
        try second.append([2])
        try second.commit()
        #expect(try readFile(folder.at("a.phi")) == [2])
        try first.commit()
        #expect(try readFile(folder.at("a.phi")) == [1] && folder.names == ["a.phi"])
    }

    @Test func leavesWhatIsLocked() throws {
        let folder = try TemporaryFolder()
        let name = "a.phi.\(try endedProcess()).part"
        let path = try folder.write(name, "some")
        let descriptor = open(path, O_RDONLY)
        try #require(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        // As a process in another container has it, which has this file open.
        try AtomicFile(FilePath(folder.at("a.phi")), overwrite: false).commit()
        #expect(Set(folder.names) == [name, "a.phi"])
        close(descriptor)
        try AtomicFile(FilePath(folder.at("a.phi")), overwrite: true).commit()
        #expect(folder.names == ["a.phi"])
    }

    /// A model may be a link to another disk: the file that it leads to is replaced, or made.
    @Test func followsLinks() throws {
        let folder = try TemporaryFolder()
        try folder.write("old", "old")
        for (link, target) in [("a", "old"), ("b", folder.at("new")), ("c", "a"), ("loop", "loop")] {
            #expect(symlink(target, folder.at(link)) == 0)
        }
        for (link, target) in [("a", "old"), ("b", "new"), ("c", "old")] {
            let file = try AtomicFile(FilePath(folder.at(link)), overwrite: true)
            try file.append(Array(link.utf8))
            try file.commit()
            #expect(PathKind.isLink(FilePath(folder.at(link))))
            #expect(try ReadableFile(path: folder.at(target)).readAll(limit: 10) == Array(link.utf8))
        }
        #expect(throws: FormatError.self) { try AtomicFile(FilePath(folder.at("loop")), overwrite: true) }
        // Of what is this user's alone, somebody else may have made the link.
        try AtomicFile(FilePath(folder.at("a")), overwrite: true, mode: 0o600).commit()
        #expect(!PathKind.isLink(FilePath(folder.at("a"))))
        #expect(try ReadableFile(path: folder.at("old")).readAll(limit: 10) == Array("c".utf8))
    }

    /// Work takes minutes: what has got the name meanwhile is kept, unless it may be replaced.
    @Test func keepsWhatHasComeMeanwhile() throws {
        let folder = try TemporaryFolder()
        for (overwrite, expected) in [(false, "theirs"), (true, "mine")] {
            let file = try AtomicFile(FilePath(folder.at("a.phi")), overwrite: overwrite)
            try file.append(Array("mine".utf8))
            try folder.write("a.phi", "theirs")
            if overwrite {
                try file.commit()
            } else {
                #expect(fault { try file.commit() } == "exists already; --force replaces it")
            }
            #expect(try readFile(folder.at("a.phi")) == Array(expected.utf8))
            _ = unlink(folder.at("a.phi"))
        }
        try AtomicFile(FilePath(folder.at("b.phi")), overwrite: false).commit()
        #expect(folder.names == ["b.phi"])
    }

    /// A model that only its owner may read stays so.
    @Test func keepsTheModeOfWhatItReplaces() throws {
        let folder = try TemporaryFolder()
        for mode in [0o600, 0o640, 0o666] as [mode_t] {
            try folder.write("a.phi", "old")
            #expect(chmod(folder.at("a.phi"), mode) == 0)
            try AtomicFile(FilePath(folder.at("a.phi")), overwrite: true).commit()
            var status = stat()
            #expect(stat(folder.at("a.phi"), &status) == 0 && status.st_mode & 0o777 == mode)
        }
    }

    @Test func isDeletedWithoutCommit() throws {
        let folder = try TemporaryFolder()
        do {
            let file = try AtomicFile(FilePath(folder.at("a.phi")), overwrite: false)
            try file.append([1, 2, 3])
            let name = try #require(folder.names.first)
            #expect(name.hasPrefix("a.phi.\(getpid()).") && name.hasSuffix(".part"))
        }
        #expect(folder.names.isEmpty)
    }

    /// Appended bytes are written in pieces; what overwrites them comes after them.
    @Test func keepsTheOrderOfWhatIsWritten() throws {
        let folder = try TemporaryFolder()
        let file = try AtomicFile(FilePath(folder.at("a.phi")), overwrite: false)
        var expected: [UInt8] = []
        for (number, count) in [1, 5_000_000, 0, 3_388_607, 17, 8_388_608, 4_194_303, 64, 12_000_000].enumerated() {
            let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
                for index in 0..<count { buffer[index] = UInt8(truncatingIfNeeded: index &* 31 &+ number) }
                filled = count
            }
            try file.append(bytes)
            expected += bytes
            #expect(file.position == expected.count)
            guard number % 3 == 2 else { continue }
            let middle = expected.count / 2, other: [UInt8] = [7, 8, 9]
            try other.withUnsafeBytes { try file.write($0, at: middle) }
            expected.replaceSubrange(middle..<middle + other.count, with: other)
        }
        try file.commit()
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder.at("a.phi"))) == Data(expected))
    }
}
