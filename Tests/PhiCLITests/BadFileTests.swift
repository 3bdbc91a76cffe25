import Foundation
import PhiFormat
import PhiTestSupport
import Testing

/// Damaged and hostile `.phi` files, given to every command that opens one.
@Suite struct BadFileTests {
    /// The commands that open a file whole.
    private static let commands = [["info", "-m"], ["complete", "-n", "1", "x", "-m"], ["verify"]]

    private static func samples(_ folder: String) throws -> [String] {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Formats/" + folder).path
        return try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".phi") }.sorted()
            .map { path + "/" + $0 }
    }

    private func expectRefusal(_ path: String, _ command: [String], _ comment: Comment) throws {
        PhiCLITests.expectRefusal(try Command.runConfined(command + [path]), path + ": ", comment)
    }

    @Test(arguments: commands) func refusesTheSamples(_ command: [String]) throws {
        let samples = try Self.samples("refused")
        #expect(samples.count > 100)
        for path in samples {
            let name = URL(fileURLWithPath: path).lastPathComponent
            // These open, and fail when everything is looked at.
            if name.hasPrefix("verify-"), command != ["verify"] { continue }
            try expectRefusal(path, command, "\(command[0]) \(name)")
        }
    }

    @Test func acceptsTheGoodSamples() throws {
        for path in try Self.samples("good") {
            for command in [["info", "-m"], ["info", "--json", "-m"], ["complete", "-n", "3", "x", "-m"]] {
                let outcome = try Command.run(command + [path])
                #expect(outcome.status == 0, "\(command) \(outcome.errorText)")
            }
        }
    }

    @Test(arguments: commands) func refusesTruncatedFiles(_ command: [String]) throws {
        let folder = try TemporaryFolder()
        let whole = try readFile(Models.path())
        let lengths = Array(stride(from: 0, to: 300, by: 23)) + [127, 128, 255, 256, 1024, 4096, whole.count / 2]
        for length in lengths + [whole.count - 64, whole.count - 1] {
            try folder.write("cut.phi", Array(whole[..<length]))
            try expectRefusal(folder.at("cut.phi"), command, "\(command[0]), \(length) bytes")
        }
        try folder.write("long.phi", whole + [0])
        try expectRefusal(folder.at("long.phi"), command, "\(command[0]), a byte too many")
    }

    @Test func refusesAnyChangedByteOfTheHeader() throws {
        let folder = try TemporaryFolder()
        let whole = try readFile(Models.path())
        // The preamble and two records; the commands take turns.
        for place in 0..<384 {
            var bytes = whole
            bytes[place] ^= UInt8(1 << (place % 8))
            try folder.write("flipped.phi", bytes)
            try expectRefusal(folder.at("flipped.phi"), Self.commands[place % 3], "byte \(place)")
        }
    }

    /// Fields set to numbers that are hard on arithmetic, under a hash that is right.
    @Test func survivesAnyNumberInAnyField() throws {
        let folder = try TemporaryFolder()
        let whole = try readFile(Models.path())
        let preamble = [(8, 2), (10, 2), (12, 4), (16, 8), (24, 8), (32, 4), (36, 4)]
        let record = [(0, 8), (48, 4), (52, 4), (56, 8), (64, 8), (72, 4), (76, 4), (80, 4), (84, 4)]
        // The config, the embedding and the last section.
        let records = [128, 384, Self.headerSize(of: whole) - 128]
        let fields = preamble + records.flatMap { start in record.map { ($0.0 + start, $0.1) } }
        for (number, (offset, size)) in fields.enumerated() {
            for value in [0, 1, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 63, UInt64.max - 63, UInt64.max] {
                var bytes = whole
                for index in 0..<size {
                    bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(index)))
                }
                Self.seal(&bytes)
                try folder.write("odd.phi", bytes)
                let command = Self.commands[number % 3]
                let outcome = try Command.runConfined(command + [folder.at("odd.phi")])
                // A minor version may be anything, and what is required may be optional.
                if outcome.status == 0 { continue }
                PhiCLITests.expectRefusal(outcome, "odd.phi: ", "\(command[0]), \(value) at \(offset)")
            }
        }
    }

    @Test func refusesPathsThatAreNoFiles() throws {
        let folder = try TemporaryFolder()
        try folder.write(
            "text.phi",
            "This is a text, and longer than the preamble of a file that holds a model. "
                + String(repeating: ".", count: 99))
        for command in Self.commands {
            try expectRefusal(folder.path, command, "a directory")
            try expectRefusal(folder.at("missing.phi"), command, "missing")
            try expectRefusal("/dev/null", command, "a device")
            try expectRefusal(folder.at("text.phi"), command, "a text")
            let outcome = try Command.run(command + [folder.at("text.phi")])
            #expect(outcome.errorText.contains("wrong magic"))
        }
        for command in [["tokenize", "-m"], ["logits", "--ids", "/dev/null", "-o", folder.at("x.npy"), "-m"]] {
            try expectRefusal(folder.at("text.phi"), command, "a text")
        }
        #expect(folder.names == ["text.phi"])
    }

    @Test func saysWhatToDoWithOtherFiles() throws {
        let shop = try Workshop()
        let zeros = [UInt8](repeating: 0, count: 1000)
        let files: [(name: String, bytes: [UInt8], fault: String)] = [
            ("m.gguf", Array("GGUF".utf8) + zeros, "is a GGUF file, not a .phi file; convert it with `phi convert`"),
            ("m.bin", [0x50, 0x4B, 3, 4] + zeros, "is a torch archive, not a .phi file; convert its checkpoint with"),
            (
                "lfs", Array("version https://git-lfs.github.com/spec/v1\noid".utf8),
                "is a Git LFS pointer, not the file"
            ),
        ]
        for (name, bytes, fault) in files {
            let path = try shop.folder.write(name, bytes)
            PhiCLITests.expectRefusal(try Command.run("complete", "-m", path, "x"), path + ": " + fault)
        }
        for (path, fault) in [
            (shop.checkpoint + "/model.safetensors", "is a safetensors file, not a .phi file"),
            (shop.checkpoint, "is a directory, not a .phi file; `phi convert` makes one of a checkpoint"),
        ] {
            PhiCLITests.expectRefusal(try Command.run("complete", "-m", path, "x"), path + ": " + fault)
        }
    }

    @Test func namesAFileOfTwoLinesInOne() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("two\nlines.phi", "x")
        PhiCLITests.expectRefusal(try Command.run("info", "-m", path), "lines.phi: ")
    }

    @Test(.enabled(if: Nobody.canRun, Nobody.needed)) func refusesUnreadableFiles() throws {
        let folder = try TemporaryFolder()
        chmod(folder.path, 0o755)
        let path = try folder.write("closed.phi", readFile(Models.path()))
        chmod(path, 0)
        let outcome = try Nobody.run(#"exec "$PHI" info -m "$1""#, path)
        PhiCLITests.expectRefusal(outcome, "closed.phi: permission denied")
    }

    private static func headerSize(of bytes: [UInt8]) -> Int {
        (0..<8).reduce(0) { $0 | Int(bytes[24 + $1]) << (8 * $1) }
    }

    /// Puts the right hash into a header that may have become nonsense.
    private static func seal(_ bytes: inout [UInt8]) {
        let size = headerSize(of: bytes)
        guard (128...bytes.count).contains(size) else { return }
        for index in 96..<128 { bytes[index] = 0 }
        let digest = bytes[..<size].withUnsafeBytes { SHA256Digest($0).bytes }
        bytes.replaceSubrange(96..<128, with: digest)
    }
}
