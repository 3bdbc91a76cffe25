import Foundation
import PhiTestSupport
import Testing

/// Arguments as the system passes them: any bytes, with or without /proc.
@Suite struct ArgumentTests {
    /// A name that is no UTF-8, and has a character that the command uses for such bytes.
    private static let name = #"$(printf 'a\377b\356\236\200\343\201\202')"#

    private static func names(in folder: TemporaryFolder) throws -> [UInt8] {
        try Command.shell(#"ls -A "$1""#, folder.path).output
    }

    @Test func opensAndWritesFilesOfAnyName() throws {
        let folder = try TemporaryFolder()
        let checkpoint = try TinyCheckpoint().write(to: folder)
        try folder.write("ids.json", "[1, 2, 3]")
        try folder.write("text.txt", String(repeating: "def f(x): return x\n", count: 40))
        let lines = [
            #""$PHI" convert "$1" --type f32 -o "$2/$NAME.phi""#,
            #""$PHI" export -m "$2/$NAME.phi" -o "$2/$NAME.gguf""#,
            #""$PHI" convert "$2/$NAME.gguf" --type f16 --output="$2/$NAME.16.phi""#,
            #""$PHI" verify "$2/$NAME.16.phi""#,
            #""$PHI" logits -m "$2/$NAME.phi" --ids "$2/ids.json" -o "$2/$NAME.npy""#,
            #"mv "$2/text.txt" "$2/$NAME.txt""#,
            #""$PHI" eval perplexity -m "$2/$NAME.phi" -c 16 -f "$2/$NAME.txt" --save-logits "$2/$NAME.2.npy""#,
            #""$PHI" eval kl -m "$2/$NAME.16.phi" -c 16 -f "$2/$NAME.txt" --base-logits "$2/$NAME.2.npy""#,
            #""$PHI" complete -m "$2/$NAME.phi" -n 2 -f "$2/ids.json""#,
            #""$PHI" bench -m "$2/$NAME.phi" -p 2 -n 0 -r 1"#,
        ]
        for line in lines {
            let outcome = try Command.shell("NAME=\(Self.name); \(line)", checkpoint, folder.path)
            #expect(outcome.status == 0, "\(line): \(outcome.errorText)")
        }
        let bytes: [UInt8] = [0x61, 0xFF, 0x62, 0xEE, 0x9E, 0x80, 0xE3, 0x81, 0x82]
        let written = try Self.names(in: folder).split(separator: 10).filter { $0.starts(with: bytes) }
        #expect(
            Set(written.map { String(decoding: $0.dropFirst(bytes.count), as: UTF8.self) })
                == [".phi", ".16.phi", ".gguf", ".npy", ".2.npy", ".txt"])
    }

    @Test func evaluatesFilesOfAnyName() throws {
        let folder = try TemporaryFolder()
        let test = #""test":"def check(f): assert f() == 1""#
        try folder.write("problems", #"{"task_id":"a","prompt":"def f():\n","entry_point":"f",\#(test)}"#)
        try folder.write("samples", #"{"task_id":"a","completion":"    return 1"}"#)
        let line = """
            NAME=\(Self.name); cd "$1"; mv problems "$NAME.p"; mv samples "$NAME.s"
            "$PHI" eval humaneval --allow-unsandboxed --problems "$NAME.p" --samples "$NAME.s" &&
            "$PHI" eval humaneval --allow-unsandboxed --problems "$NAME.p" -n 3 -o "$NAME.o"
            """
        let outcome = try Command.shell(line, folder.path)
        #expect(outcome.status == 0 && outcome.outputText.contains("pass@1 100.00 %"), "\(outcome.errorText)")
        #expect(try Self.names(in: folder).split(separator: 10).count == 3)
        // Without solutions the samples are scored, but not the solutions.
        let references = #"cd "$1"; "$PHI" eval humaneval --allow-unsandboxed --problems *.p --references"#
        let refused = try Command.shell(references, folder.path)
        #expect(refused.status == 1 && refused.errorText.contains("has no solution of a"), "\(refused.errorText)")
    }

    @Test func takesTheHomeFolder() throws {
        let folder = try TemporaryFolder()
        try folder.write("ids.json", "[1, 2, 3]")
        let line = #"HOME="$2" "$PHI" logits -m "$1" --ids "~/ids.json" -o "~/a.npy""#
        let outcome = try Command.shell(line, Models.path(), folder.path)
        #expect(outcome.status == 0 && folder.names == ["a.npy", "ids.json"], "\(outcome.errorText)")
    }

    @Test func promptsAreBytes() throws {
        let line = "\"$PHI\" complete -m \"$1\" -n 1 -t 1 \(Self.name)"
        let outcome = try Command.shell(line, Models.path())
        #expect(outcome.output.starts(with: [0x61, 0xFF, 0x62, 0xEE, 0x9E, 0x80, 0xE3, 0x81, 0x82]))
    }

    @Test func wrongArgumentsAreShownAsTheyAre() throws {
        let outcome = try Command.shell("\"$PHI\" verify x \(Self.name)")
        #expect(outcome.status == 64)
        #expect(outcome.error.split(separator: 0xFF).count == 2)
    }

    private static let canHideProc: Bool = {
        let line = "bwrap --unshare-user --ro-bind / / --dev /dev --tmpfs /proc true 2>/dev/null"
        return (try? Command.shell(line).status == 0) ?? false
    }()

    @Test(.enabled(if: canHideProc, "needs bubblewrap")) func needsNoProc() throws {
        let hidden = #"exec bwrap --unshare-user --bind / / --dev /dev --tmpfs /proc "$PHI""#
        let missing = try Command.shell(hidden + " verify /nonexistent")
        expectRefusal(missing, "/nonexistent: no such file")
        let outcome = try Command.shell(hidden + #" complete -m "$1" -n 3 -t 2 "def f():""#, Models.path())
        #expect(outcome.status == 0 && outcome.outputText.hasPrefix("def f():"), "\(outcome.errorText)")
    }

    @Test func aClosedOutputIsAnError() throws {
        for command in ["info", "info --json", "complete -n 2 x", "--help", "--version", "tokenize", "verify"] {
            let outcome = try Command.shell("exec \"$PHI\" \(command) >&-", input: Array("x".utf8))
            #expect(outcome.status == 1 && outcome.errorText.contains("standard output: "), "\(outcome.errorText)")
        }
        let input = try Command.shell(#"exec "$PHI" tokenize <&-"#)
        #expect(input.status == 1 && input.errorText.contains("standard input: "))
    }
}
