import ArgumentParser
import PhiSystem

/// The process of a command, from before its arguments are parsed to its exit status.
package enum CommandProcess {
    /// Sets up signals and standard streams; call it first.
    package static func prepare() {
        // Writing to a closed pipe or beyond the file size limit fails with an error, which is handled, instead of a signal.
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        // A file must not get the number of a standard stream that the shell has closed, or messages would be written to it.
        while case let descriptor = open("/dev/null", O_RDWR), descriptor >= 0 {
            if descriptor > STDERR_FILENO {
                close(descriptor)
                break
            }
        }
    }
}

extension ParsableCommand {
    /// Ends the process after `error`: wrong usage as ArgumentParser does, a closed pipe silently, an interruption with status
    /// 130, anything else with one line on standard error and status 1.
    package static func exit(reporting error: any Error) -> Never {
        if error is BrokenPipe { exit() }
        if error is CancellationError { exit(withError: ExitCode(130)) }
        guard exitCode(for: error) == .failure, !(error is ExitCode) else { exit(withError: error) }
        // One line, even if a file name contains a line break.
        let fault = String("\(error)".map { $0.isNewline ? "\u{FFFD}" : $0 })
        Console.error("\(configuration.commandName ?? "phi"): \(fault)\n")
        exit(withError: ExitCode.failure)
    }
}
