import Foundation
import PhiTestSupport
import Testing

/// `phi convert` to places that cannot be written.
@Suite struct ConvertOutputTests {
    private func expectRefusal(of output: String, _ shop: Workshop, _ comment: Comment? = nil) throws {
        PhiCLITests.expectRefusal(try Command.run("convert", shop.checkpoint, "-o", output), output, comment)
        #expect(shop.folder.names.allSatisfy { !$0.contains(".part") }, comment)
    }

    @Test func refusesPathsThatAreNoFiles() throws {
        let shop = try Workshop()
        try expectRefusal(of: shop.folder.at("missing/model.phi"), shop)
        try expectRefusal(of: shop.folder.makeFolder("folder"), shop)
        try expectRefusal(of: "/dev/null", shop)
        try expectRefusal(of: shop.folder.at("checkpoint/config.json"), shop)
        #expect(shop.folder.names == ["checkpoint", "folder"])
    }

    @Test func neverReplacesWhatItReads() throws {
        let shop = try Workshop()
        #expect(try shop.convert().status == 0)
        try FileManager.default.createSymbolicLink(
            atPath: shop.folder.at("link"), withDestinationPath: shop.checkpoint + "/model.safetensors")
        let ids = try shop.folder.write("ids.json", "[1, 2]")
        let text = try shop.folder.write("text", String(repeating: "x = 1\n", count: 500))
        for (arguments, output) in [
            (["convert", shop.checkpoint, "--force"], shop.checkpoint + "/model.safetensors"),
            (["convert", shop.checkpoint, "--force"], shop.folder.at("link")),
            (["convert", shop.checkpoint, "--force"], shop.checkpoint + "/../checkpoint/tokenizer.json"),
            (["export", "-m", shop.output, "--force"], shop.output),
            (["logits", "-m", shop.output, "--ids", ids], shop.output),
            (["logits", "-m", shop.output, "--ids", ids], ids),
            (["eval", "perplexity", "-m", shop.output, "-f", text, "--save-logits"], text),
        ] {
            let before = try readFile(output)
            let option = arguments.last == "--save-logits" ? [output] : ["-o", output]
            PhiCLITests.expectRefusal(try Command.run(arguments + option), "is read for this", "\(arguments)")
            #expect(try readFile(output) == before)
        }
    }

    @Test(.enabled(if: Nobody.canRun, Nobody.needed)) func refusesAReadOnlyFolder() throws {
        let shop = try Workshop()
        let folder = try shop.folder.makeFolder("closed")
        chmod(folder, 0o555)
        chmod(shop.folder.path, 0o755)
        defer { chmod(folder, 0o755) }
        let line = #"exec "$PHI" convert "$1" -o "$2""#
        let outcome = try Nobody.run(line, shop.checkpoint, folder + "/model.phi")
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

    /// A shell line that mounts a disk of 128 KiB at `$1`, seen by this shell alone and gone with it, and then runs `line`.
    private static func onSmallDisk(_ line: String) -> String {
        #"unshare -m sh -c 'mount -t tmpfs -o size=128k phi-test "$1" && { \#(line); }' sh "$@""#
    }

    private static let canMount: Bool = {
        guard let folder = try? TemporaryFolder() else { return false }
        return (try? Command.shell(onSmallDisk("true"), folder.path).status) == 0
    }()

    @Test(.enabled(if: canMount, "needs a user who may mount a small disk"))
    func leavesNothingOnAFullDisk() throws {
        let shop = try Workshop()
        let disk = try shop.folder.makeFolder("disk")
        let line = #""$PHI" convert "$2" -o "$1/model.phi" --type f32; status=$?; ls -A "$1"; exit $status"#
        let outcome = try Command.shell(Self.onSmallDisk(line), disk, shop.checkpoint)
        PhiCLITests.expectRefusal(outcome, disk + "/model.phi")
        #expect(outcome.errorText.contains("No space left on device"))
    }

    @Test func survivesClosedStreams() throws {
        for streams in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
            let shop = try Workshop()
            let outcome = try Command.shell(
                #"exec "$PHI" convert "$1" -o "$2" \#(streams)"#, shop.checkpoint, shop.output)
            // The file is there; only its summary is lost.
            #expect(outcome.status == (streams.contains(">&- ") || streams == ">&-" ? 1 : 0), "\(streams)")
            #expect(try Command.run("verify", shop.output).status == 0, "\(streams)")
        }
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full"), "needs /dev/full"))
    func reportsAFullDiskUnderItsOutput() throws {
        for command in ["complete -n 3 x", "info", "info --json", "tokenize --ids", "complete --json -n 3 x"] {
            let line = "exec \"$PHI\" \(command) -m \"$1\" > /dev/full"
            PhiCLITests.expectRefusal(try Command.shell(line, Models.path(), input: Array("x".utf8)), "standard output")
        }
    }
}
