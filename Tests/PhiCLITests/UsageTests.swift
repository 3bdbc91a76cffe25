import Testing

/// `phi` itself: help, version, wrong usage.
@Suite struct UsageTests {
    private static let commands = ["convert", "complete", "tokenize", "logits", "info", "verify"]

    @Test func helps() throws {
        for arguments in [["--help"], ["-h"], ["help"], []] {
            let outcome = try Phi.run(arguments)
            #expect(outcome.status == 0 && outcome.error.isEmpty)
            for command in Self.commands { #expect(outcome.outputText.contains("  \(command) "), "\(command)") }
        }
        for command in Self.commands {
            let outcome = try Phi.run(command, "--help")
            #expect(outcome.status == 0 && outcome.outputText.contains("USAGE: phi \(command)"))
        }
        #expect(try Phi.run("--version").status == 0)
    }

    @Test func knowsWrongUsage() throws {
        expectWrongUsage(try Phi.run("dance"), "dance")
        expectWrongUsage(try Phi.run("--dance"), "--dance")
        expectWrongUsage(try Phi.run("convert"), "directory")
        expectWrongUsage(try Phi.run("convert", "x"), "output")
        expectWrongUsage(try Phi.run("convert", "x", "-o", "y", "--type", "q5"), "q5")
        expectWrongUsage(try Phi.run("convert", "x", "-o", "y", "--threads", "0"), "--threads")
        expectWrongUsage(try Phi.run("logits", "-o", "y"), "ids")
        expectWrongUsage(try Phi.run("logits", "--ids", "x", "-o", "y", "--threads", "0"), "--threads")
        expectWrongUsage(try Phi.run("verify", "x", "y"), "y")
        expectWrongUsage(try Phi.run("info", "x"), "x")
    }
}
