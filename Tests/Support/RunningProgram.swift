import Foundation
import PhiSystem
import Synchronization
import Testing

/// A program in a process of its own: input from a file, output to pipes or a terminal, signals as by default.
package final class RunningProgram {
    package let pid: pid_t
    private let folder: TemporaryFolder
    private let started = ContinuousClock.now
    private let output: Int32
    private var outputBytes: [UInt8] = []
    /// The test's side of the terminal that standard error is on.
    private let terminal: Int32
    /// Ends a program that takes minutes, which fails its test.
    private let killer: DispatchWorkItem

    /// Pipes are made and handed on by one thread at a time, so that no other program inherits their ends.
    private static let spawning = Mutex(())

    package init(
        _ path: String, _ arguments: [String], input: [UInt8], environment: [String: String],
        errorIsTerminal: Bool = false, longest: Double = 300
    ) throws {
        folder = try TemporaryFolder()
        let inputPath = try folder.write("in", input)
        let errorPath = folder.at("err")
        let terminal = errorIsTerminal ? try openTerminal() : nil
        var variables = ProcessInfo.processInfo.environment.merging(environment) { _, new in new }
        if environment["PHI_ISA"] == nil { variables["PHI_ISA"] = nil }
        let lines = variables.map { "\($0.key)=\($0.value)" }
        (pid, output) = try Self.spawning.withLock { _ in
            var ends: [Int32] = [0, 0]
            guard pipe(&ends) == 0 else { throw SystemFault("pipe") }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            defer { close(ends[1]) }
            let pid = try spawn(path, arguments, environment: lines) { actions in
                posix_spawn_file_actions_addopen(&actions, 0, inputPath, O_RDONLY, 0)
                posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
                posix_spawn_file_actions_addopen(
                    &actions, 2, terminal?.path ?? errorPath, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY, 0o600)
            }
            return (pid, ends[0])
        }
        self.terminal = terminal?.descriptor ?? -1
        killer = DispatchWorkItem { [pid] in _ = kill(pid, SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: .now() + longest, execute: killer)
    }

    deinit {
        if output >= 0 { close(output) }
        if terminal >= 0 { close(terminal) }
    }

    /// Waits until at least `count` bytes of output are there, or the output ends; returns all so far.
    package func read(_ count: Int) -> [UInt8] {
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        while outputBytes.count < count {
            let moved = Foundation.read(output, &piece, piece.count)
            if moved <= 0 { break }
            outputBytes += piece[..<moved]
        }
        return outputBytes
    }

    /// Waits for the next line of output, or the output's end; gives it without its line break.
    package func readLine() -> String {
        var piece: UInt8 = 0
        var line: [UInt8] = []
        while Foundation.read(output, &piece, 1) == 1, piece != UInt8(ascii: "\n") { line.append(piece) }
        return String(decoding: line, as: UTF8.self)
    }

    package func signal(_ number: Int32) { kill(pid, number) }

    /// Whether it has not ended yet.
    package var isRunning: Bool {
        var information = siginfo_t()
        // Leaves the process to be waited for; the signal number stays 0 while there is nothing to tell.
        return waitid(P_PID, id_t(pid), &information, WEXITED | WNOHANG | WNOWAIT) == 0 && information.si_signo == 0
    }

    /// Reads all output and waits for the end.
    package func wait() throws -> Outcome {
        _ = read(.max)
        var status: Int32 = 0
        var usage = rusage()
        while wait4(pid, &status, 0, &usage) < 0 {
            guard errno == EINTR else { throw SystemFault("wait4") }
        }
        killer.cancel()
        let number = status & 0x7F
        return Outcome(
            status: number == 0 ? status >> 8 & 0xFF : nil, signal: number, output: outputBytes,
            error: try errorBytes(),
            peakMemory: Int(usage.ru_maxrss) * maxrssUnit, seconds: started.duration(to: .now) / .seconds(1))
    }

    /// Standard error so far.
    package var errorSoFar: String { get throws { String(decoding: try readFile(folder.at("err")), as: UTF8.self) } }

    private func errorBytes() throws -> [UInt8] {
        guard terminal >= 0 else { return try readFile(folder.at("err")) }
        _ = fcntl(terminal, F_SETFL, O_NONBLOCK)
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 12)
        while case let count = Foundation.read(terminal, &piece, piece.count), count > 0 { bytes += piece[..<count] }
        return bytes
    }
}

/// The results of a program that has ended.
package struct Outcome {
    /// Exit status; nil when a signal ended it.
    package let status: Int32?
    package let signal: Int32
    package let output: [UInt8]
    package let error: [UInt8]
    /// Bytes in memory at most. Linux counts what the test process had when it started the program.
    package let peakMemory: Int
    package let seconds: Double

    package var outputText: String { String(decoding: output, as: UTF8.self) }
    package var errorText: String { String(decoding: error, as: UTF8.self) }

    /// The output as JSON.
    package func json<Value: Decodable>(_ type: Value.Type) throws -> Value {
        try #require(status == 0, "\(errorText)")
        return try JSONDecoder().decode(type, from: Data(output))
    }
}

/// A system call that failed.
package struct SystemFault: Error, CustomStringConvertible {
    package let description: String

    package init(_ call: String) { description = "\(call): \(String(cString: strerror(errno)))" }
}
