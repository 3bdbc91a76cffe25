import Foundation
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

    /// Shells complete files where a file is expected: in every option whose help names one.
    @Test(arguments: ["phi", "phi-server"].filter(Command.has)) func completesFiles(program: String) throws {
        let outcome = try RunningProgram(
            Command.program(program), ["--experimental-dump-help"], input: [], environment: [:]
        ).wait()
        var checked = 0
        func check(_ command: [String: Any]) {
            for argument in command["arguments"] as? [[String: Any]] ?? [] where argument["kind"] as? String != "flag" {
                let help = argument["abstract"] as? String ?? "", name = argument["valueName"] as? String ?? ""
                guard help.contains(/\b(file|directory)\b/), name != "model-name" else { continue }
                let kind = argument["completionKind"] as? [String: Any] ?? [:]
                #expect(kind["file"] != nil || kind["directory"] != nil, "\(name): \(help)")
                checked += 1
            }
            for subcommand in command["subcommands"] as? [[String: Any]] ?? [] { check(subcommand) }
        }
        let help = try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [String: Any]
        check(try #require(help?["command"] as? [String: Any]))
        #expect(checked >= (program == "phi" ? 20 : 2))
    }

    @Test func showsNoCommandsOfATerminal() throws {
        let folder = try TemporaryFolder()
        let outcome = try Command.run("verify", "x", "b\u{1B}[31m")
        expectWrongUsage(outcome, "b\u{FFFD}[31m")
        let name = folder.at("a\u{1B}[31m.phi")
        try FileManager.default.copyItem(atPath: Models.path(), toPath: name)
        #expect(try Command.run("verify", name).outputText.contains("a\u{FFFD}[31m.phi: sound"))
        let exported = try Command.run("export", "-m", name, "-o", folder.at("b\u{1B}[31m.gguf"))
        #expect(exported.status == 0 && exported.outputText.contains("b\u{FFFD}[31m.gguf: "))
    }

    /// As a parent leaves it that reads the other end without blocking.
    @Test func writesAllToAnOutputThatDoesNotBlock() throws {
        let folder = try TemporaryFolder()
        try folder.write("text", String(repeating: "x = 1\n", count: 20_000))
        let script = """
            import os, subprocess, sys, time
            out, into = os.pipe()
            os.set_blocking(into, False)
            process = subprocess.Popen([os.environ["PHI"], "tokenize"], stdin=open(sys.argv[1]), stdout=into)
            os.close(into)
            time.sleep(1)
            sys.stdout.buffer.write(b"".join(iter(lambda: os.read(out, 65536), b"")))
            sys.exit(process.wait())
            """
        try folder.write("script.py", script)
        let expected = try Command.run("tokenize", input: readFile(folder.at("text")))
        #expect(expected.output.count > 1 << 16)
        let outcome = try Command.shell(#"python3 "$1" "$2""#, folder.at("script.py"), folder.at("text"))
        #expect(outcome.status == 0 && outcome.output == expected.output, "\(outcome.errorText)")
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
        expectWrongUsage(try Command.run("info", "x", "y"), "y")
        expectWrongUsage(try Command.run("info", "--cpu", "x"), "--cpu")
        expectWrongUsage(try Command.run("bench", "-p", "0", "-n", "0"), "nothing to time")
        expectWrongUsage(try Command.run("bench", "-p", "1-10000", "-d", "0-9999"), "have more than 10000 combinations")
        expectWrongUsage(try Command.run("complete", "--json-schema", "-", "-"), "Standard input is one text")
        expectWrongUsage(try Command.run("complete", "--no-echo", "-1 + 2"), "behind --")
    }

    @Test(arguments: [
        (["complet"], "'phi' has no subcommand 'complet'; did you mean 'complete'?"),
        (["xyzzy", "--help"], "'phi' has no subcommand 'xyzzy': it has convert, complete,"),
        (["bench", "kernel"], "'bench' has no subcommand 'kernel'; did you mean 'kernels'?"),
        (["help", "complet"], "'phi' has no subcommand 'complet'; did you mean 'complete'?"),
        (["eval", "human-eval", "-m", "x"], "'eval' has no subcommand 'human-eval'; did you mean 'humaneval'?"),
    ])
    func namesTheNearestSubcommand(_ arguments: [String], _ message: String) throws {
        expectWrongUsage(try Command.run(arguments), message)
    }

    @Test(arguments: [
        (["complete", "-t", "-1", "x"], "--threads takes 1 to"), (["complete", "-n", "-1", "x"], "-1"),
        (["complete", "--temperature", "-.5", "x"], "temperature"),
        (["complete", "-c", "-3", "x"], "--context takes 1"),
        (["eval", "kl", "-f", "x", "--base", "y", "--stride", "-2"], "--stride takes 1"),
        (["bench", "-r", "-1"], "-r takes 1"),
    ])
    func takesNumbersBelowZeroAsValues(_ arguments: [String], _ message: String) throws {
        expectWrongUsage(try Command.run(arguments), message)
    }

    /// A number behind a flag is not the flag's value.
    @Test(arguments: [["complete", "--json", "-1"], ["complete", "--no-echo", "-5"], ["complete", "-n", "3", "-1"]])
    func saysHowANumberBelowZeroIsAPrompt(_ arguments: [String]) throws {
        expectWrongUsage(try Command.run(arguments), "behind -- if it begins with a dash")
    }

    /// Also where the fault is found only when the command runs.
    @Test(arguments: [
        (["complete", "-n", "5", "-n", "6", "x"], "complete"), (["complete", "--regex", "(", "x"], "complete"),
        (["bench", "foo"], "bench"), (["eval", "kl", "-f", "a", "-f", "b", "--base", "c"], "eval kl"),
    ])
    func leadsToTheCommandsHelp(_ arguments: [String], _ command: String) throws {
        let outcome = try Command.run(arguments)
        #expect(outcome.status == 64)
        #expect(
            outcome.errorText.hasSuffix("See 'phi \(command) --help' for more information.\n"), "\(outcome.errorText)")
    }

    @Test func completesAPromptThatBeginsWithADash() throws {
        let outcome = try Command.run("complete", "-m", Models.path(), "-n", "1", "-t", "1", "--", "-1")
        #expect(outcome.status == 0 && outcome.outputText.hasPrefix("-1"))
    }

    @Test(arguments: [
        (["complete", "-t", "1", "-t", "2", "x"], "-t is given 2 times"),
        (["complete", "-t", "1", "--threads=2", "x"], "-t and --threads are one option"),
        (["complete", "-n", "1", "--tokens", "2", "x"], "-n and --tokens are one option"),
        (["info", "-m", "a", "b"], "by -m or alone"),
        (["convert", "x", "-o", "y", "-o", "z"], "-o is given 2 times"),
        (["convert", "x", "-o", "y", "--type", "q4", "-t", "q8"], "--type and -t"),
        (["eval", "kl", "-f", "a", "-f", "b", "--base", "c"], "-f is given 2 times"),
        (["bench", "-r", "1", "--repetitions", "2"], "-r and --repetitions are one option"),
    ])
    func refusesRepeatedOptions(_ arguments: [String], _ message: String) throws {
        expectWrongUsage(try Command.run(arguments), message)
    }

    @Test func takesRepeatedLists() throws {
        let stops = ["--stop", "a", "--stop", "b", "--stop=c"]
        let outcome = try Command.run(["complete", "-m", Models.path(), "-n", "1"] + stops + ["--", "x"])
        #expect(outcome.status == 0, "\(outcome.errorText)")
    }

    /// A letter stands for the same option in every command; in benchmarks `-o` is the format, as in llama-bench, and `-n` is
    /// how much to decode.
    @Test func lettersMeanTheSame() throws {
        struct Tool: Decodable { let command: Node }
        struct Node: Decodable {
            let commandName: String
            let subcommands: [Node]?
            let arguments: [Argument]?
        }
        struct Argument: Decodable { let names: [Name]? }
        struct Name: Decodable {
            let kind: String
            let name: String
        }
        var meanings: [String: Set<String>] = [:]
        func visit(_ node: Node) {
            for argument in node.arguments ?? [] {
                let names = argument.names ?? []
                for letter in names where letter.kind == "short" {
                    let long = Set(names.filter { $0.kind == "long" }.map(\.name))
                    meanings[letter.name] = meanings[letter.name].map { $0.intersection(long) } ?? long
                }
            }
            for child in node.subcommands ?? [] { visit(child) }
        }
        let dump = try Command.run("--experimental-dump-help")
        visit(try dump.json(Tool.self).command)
        #expect(meanings["m"] == ["model"] && meanings["t"] == ["threads"])
        #expect(meanings["c"] == ["context"] && meanings["o"] == ["output"])
        #expect(meanings["n"] == [] && meanings["h"] == ["help"])
    }

    @Test func keepsEarlierSpellings() throws {
        let folder = try TemporaryFolder()
        let checkpoint = try TinyCheckpoint().write(to: folder)
        let outcome = try Command.run("convert", checkpoint, "-o", folder.at("m.phi"), "-t", "f16")
        #expect(outcome.status == 0, "\(outcome.errorText)")
        for arguments in [["verify"], ["info", "-m"], ["info"]] {
            let outcome = try Command.run(arguments + [folder.at("m.phi")])
            #expect(outcome.status == 0 && outcome.outputText.contains("m.phi"), "\(arguments)")
        }
        #expect(try Command.run("verify", "-m", folder.at("m.phi")).status == 0)
        #expect(try Command.run("complete", "-m", folder.at("m.phi"), "--tokens", "1", "x").status == 0)
    }
}
