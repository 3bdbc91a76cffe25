import ArgumentParser
import PhiFormat
import PhiSystem

/// The process of a command, from before its arguments are parsed to its exit status.
package enum CommandProcess {
    /// Sets up signals and standard streams; call it first.
    package static func prepare() {
        // Writing to a closed pipe or beyond the file size limit fails with an error, which is handled, instead of a signal.
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        // A mapped file was cut short, and what was read from it before cannot be trusted either.
        signal(SIGBUS) { _ in
            let line: StaticString =
                "phi: a file that is in use was overwritten; rename a new file over the old one instead\n"
            _ = write(STDERR_FILENO, line.utf8Start, line.utf8CodeUnitCount)
            _exit(1)
        }
        // A file must not get the number of a standard stream that the shell has closed, or messages would be written to it. What
        // takes its place cannot be read or written either.
        for (stream, mode) in [(STDIN_FILENO, O_WRONLY), (STDOUT_FILENO, O_RDONLY), (STDERR_FILENO, O_RDONLY)]
        where fcntl(stream, F_GETFD) < 0 {
            if open("/dev/null", mode) < 0 { _ = open("/", O_RDONLY) }
        }
    }
}

extension ParsableCommand {
    /// Ends the process after `error`: wrong usage as ArgumentParser does, a closed pipe as its signal does elsewhere, anything
    /// else with one line on standard error and status 1.
    package static func exit(reporting error: any Error) -> Never {
        if error is BrokenPipe { exit(withError: ExitCode(128 + SIGPIPE)) }
        let misuse = error as? WrongUsage
        let code = misuse == nil ? exitCode(for: error) : .validationFailure
        if error is ExitCode { exit(withError: error) }
        if code == .failure {
            // One line, whatever a file or its name contains.
            Console.error("\(configuration.commandName ?? "phi"): \("\(error)".printable)\n")
        } else {
            let text = misuse?.message(self) ?? fullMessage(for: error)
            let message = CommandArguments.bytes(of: text + "\n")
            if code != .success {
                // What an argument contains is in the message.
                let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { String($0).printable }
                Console.error(CommandArguments.bytes(of: lines.joined(separator: "\n") + "\n"))
            } else {
                do { try Console.write(message) } catch { exit(reporting: error) }
            }
        }
        exit(withError: code)
    }
}
