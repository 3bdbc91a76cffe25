import Foundation
import Testing

/// `phi convert` to places that cannot be written.
@Suite struct ConvertOutputTests {
    private func expectRefusal(of output: String, _ shop: Workshop, _ comment: Comment? = nil) throws {
        PhiCLITests.expectRefusal(try Command.run("convert", shop.checkpoint, "-o", output), output, comment)
        #expect(shop.folder.names.allSatisfy { !$0.contains(".part") }, comment)
    }

    @Test func refusesWhatIsNoFile() throws {
        let shop = try Workshop()
        try expectRefusal(of: shop.folder.at("missing/model.phi"), shop)
        try expectRefusal(of: shop.folder.makeFolder("folder"), shop)
        try expectRefusal(of: "/dev/null", shop)
        try expectRefusal(of: shop.folder.at("checkpoint/config.json"), shop)
        #expect(shop.folder.names == ["checkpoint", "folder"])
    }

    @Test func refusesAReadOnlyFolder() throws {
        let shop = try Workshop()
        let folder = try shop.folder.makeFolder("closed")
        chmod(folder, 0o555)
        chmod(shop.folder.path, 0o755)
        defer { chmod(folder, 0o755) }
        let line = #"exec "$PHI" convert "$1" -o "$2""#
        guard let outcome = try asNobody(line, shop.checkpoint, folder + "/model.phi") else { return }
        PhiCLITests.expectRefusal(outcome, folder + "/model.phi")
        #expect(outcome.errorText.lowercased().contains("permission denied"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }

    @Test(arguments: Models.types) func leavesNothingWhenFilesMayNotGrow(_ type: String) throws {
        let shop = try Workshop()
        let line = #"ulimit -f 16; exec "$PHI" convert "$1" -o "$2" --type "$3""#
        let outcome = try Command.shell(line, shop.checkpoint, shop.output, type)
        PhiCLITests.expectRefusal(outcome, shop.output)
        #expect(shop.folder.names == ["checkpoint"])
    }

    @Test func leavesNothingOnAFullDisk() throws {
        let shop = try Workshop()
        let disk = try shop.folder.makeFolder("disk")
        // A disk of 128 KiB that nobody else sees and that goes away with the shell.
        let mount = #"mount -t tmpfs -o size=128k phi-test "$1""#
        guard try Command.shell("unshare -m sh -c '\(mount)' sh \"$1\"", disk).status == 0 else {
            print("SKIPPED leavesNothingOnAFullDisk: this user may not mount a small disk")
            return
        }
        let line = #""$PHI" convert "$2" -o "$1/model.phi" --type f32; status=$?; ls -A "$1"; exit $status"#
        let outcome = try Command.shell("unshare -m sh -c '\(mount) && { \(line); }' sh \"$@\"", disk, shop.checkpoint)
        PhiCLITests.expectRefusal(outcome, disk + "/model.phi")
        #expect(outcome.errorText.contains("No space left on device"))
    }

    @Test func survivesClosedStreams() throws {
        for streams in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
            let shop = try Workshop()
            let outcome = try Command.shell(
                #"exec "$PHI" convert "$1" -o "$2" \#(streams)"#, shop.checkpoint, shop.output)
            #expect(outcome.status == 0, "\(streams) \(outcome.errorText)")
            #expect(try Command.run("verify", shop.output).status == 0, "\(streams)")
        }
    }

    @Test func tellsOfAFullDiskUnderItsOutput() throws {
        guard FileManager.default.fileExists(atPath: "/dev/full") else {
            print("SKIPPED tellsOfAFullDiskUnderItsOutput: there is no /dev/full")
            return
        }
        for command in ["complete -n 3 x", "info", "info --json", "tokenize --ids", "complete --json -n 3 x"] {
            let line = "exec \"$PHI\" \(command) -m \"$1\" > /dev/full"
            PhiCLITests.expectRefusal(try Command.shell(line, Models.path(), input: Array("x".utf8)), "standard output")
        }
    }
}
