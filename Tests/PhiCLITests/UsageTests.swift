import PhiTestSupport
import Testing

/// `phi` itself: help, version, wrong usage.
@Suite struct UsageTests {
    private static let commands = ["convert", "complete", "tokenize", "logits", "info", "verify", "export", "eval"]

    @Test func helps() throws {
        for arguments in [["--help"], ["-h"], ["help"], []] {
            let outcome = try Command.run(arguments)
            #expect(outcome.status == 0 && outcome.error.isEmpty)
            for command in Self.commands { #expect(outcome.outputText.contains("  \(command) "), "\(command)") }
        }
        for command in Self.commands {
            let outcome = try Command.run(command, "--help")
            #expect(outcome.status == 0 && outcome.outputText.contains("USAGE: phi \(command)"))
        }
        #expect(try Command.run("--version").status == 0)
    }

    @Test func knowsWrongUsage() throws {
        expectWrongUsage(try Command.run("dance"), "dance")
        expectWrongUsage(try Command.run("--dance"), "--dance")
        expectWrongUsage(try Command.run("convert"), "<checkpoint>")
        expectWrongUsage(try Command.run("convert", "x"), "output")
        expectWrongUsage(try Command.run("convert", "x", "-o", "y", "--type", "q5"), "q5")
        expectWrongUsage(try Command.run("convert", "x", "-o", "y", "--threads", "0"), "--threads")
        expectWrongUsage(try Command.run("logits", "-o", "y"), "ids")
        expectWrongUsage(try Command.run("logits", "--ids", "x", "-o", "y", "--threads", "0"), "--threads")
        expectWrongUsage(try Command.run("verify", "x", "y"), "y")
        expectWrongUsage(try Command.run("info", "x"), "x")
    }
}
