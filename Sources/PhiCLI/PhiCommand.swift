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
        subcommands: [
            Convert.self, Complete.self, Tokenize.self, Logits.self, Info.self, Verify.self, Bench.self,
            Eval.self,
        ])

    static func main() {
        // A reader that went away is found by the write that fails, and ends the command quietly.
        signal(SIGPIPE, SIG_IGN)
        // So is a limit on the size of files, which otherwise ends the process before it can take its unfinished file along.
        signal(SIGXFSZ, SIG_IGN)
        // A file must not get the number of a standard stream that the shell has closed, or messages would go into it.
        while case let descriptor = open("/dev/null", O_RDWR), descriptor >= 0 {
            if descriptor > STDERR_FILENO {
                close(descriptor)
                break
            }
        }
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch is BrokenPipe {
            Self.exit()
        } catch is CancellationError {
            Self.exit(withError: ExitCode(130))
        } catch {
            guard exitCode(for: error) == .failure, !(error is ExitCode) else { Self.exit(withError: error) }
            // One line, whatever the names of files hold.
            let fault = String("\(error)".map { $0.isNewline ? "\u{FFFD}" : $0 })
            Console.error("phi: \(fault)\n")
            Self.exit(withError: ExitCode.failure)
        }
    }
}
