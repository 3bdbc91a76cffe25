import ArgumentParser
import Phi

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The `phi` command.
@main
struct PhiCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "phi",
        abstract: "Converts phi checkpoints to .phi files and runs them on the CPU.",
        discussion: """
            Without -m, commands use the small model that is built in. Results go to standard output, progress and \
            timings to standard error. The exit status is 0 when done, 1 when it failed, 64 for wrong usage, 130 when \
            interrupted.
            """,
        version: swiftPhiVersion,
        subcommands: [Convert.self, Complete.self, Tokenize.self, Logits.self, Info.self, Verify.self])

    static func main() {
        // A reader that went away is found by the write that fails, and ends the command quietly.
        signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch is BrokenPipe {
            Self.exit()
        } catch is CancellationError {
            Self.exit(withError: ExitCode(130))
        } catch  where exitCode(for: error) == .failure && !(error is ExitCode) {
            Console.error("phi: \(error)\n")
            Self.exit(withError: ExitCode.failure)
        } catch {
            Self.exit(withError: error)
        }
    }
}
