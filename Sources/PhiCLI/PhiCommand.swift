import ArgumentParser
import Phi
import PhiCommandSupport

/// The `phi` command.
@main
struct PhiCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "phi",
        abstract: "Converts phi checkpoints to .phi files and runs them on the CPU.",
        discussion: """
            Without -m, commands use the built-in small model. Results go to standard output, progress and timings to \
            standard error. The exit status is 0 for success, 1 for failure, 64 for wrong usage, 128 and the \
            signal's number after a signal, which is 130 for Ctrl-C.
            """,
        version: swiftPhiVersion,
        subcommands: [
            Convert.self, Complete.self, Tokenize.self, Logits.self, Info.self, Verify.self, Export.self, Bench.self,
            Eval.self,
        ])

    static func main() {
        CommandProcess.prepare()
        do {
            var command = try parsed()
            try runParsed(&command)
        } catch {
            exit(reporting: error is CancellationError ? ExitCode(Interrupt.exitStatus) : error)
        }
    }
}
