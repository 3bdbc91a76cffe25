import PhiFormat
import PhiJSON
import PhiSystem

/// A run of a program and its checks in two sandboxes, up to its verdict.
struct SandboxedRun {
    let program: ChildProcess
    let checks: ChildProcess
    /// Seconds that the sandboxes may take to start.
    private static let patience = 60.0
    /// Seconds in which the status of an ended program arrives.
    private static let grace = 2.0
    private static let tick: Int32 = 20
    /// The largest factor by which waiting for a processor extends the time limit.
    private static let stretch = 20.0

    /// Waits for the report of the checks, at most this many seconds from the program's first statement, then kills both.
    /// Where Linux reports it, time in which program and checks were runnable but had no processor does not count, so a busy
    /// machine gives the verdicts of an idle one; it does count while other processes or threads of the program are running.
    /// Throws ``FormatError`` when the program did not start, and `CancellationError` when `isWanted` returns false.
    func verdict(seconds: Double, while isWanted: () -> Bool) throws -> Verdict {
        defer {
            program.stop()
            checks.stop()
        }
        let started = ContinuousClock.now
        var begun: ContinuousClock.Instant?
        var waited = 0.0
        var waitedBefore: Double?
        while true {
            guard isWanted() else { throw CancellationError() }
            let isOver = checks.status != nil
            checks.poll(milliseconds: Self.tick)
            program.poll(milliseconds: 0)
            if let report { return try verdict(report, hasBegun: lines.first == "begin") }
            // Checked once more after the end, when everything has arrived.
            if isOver { break }
            if begun == nil, !lines.isEmpty { begun = .now }
            if let begun {
                let tasks = [program, checks].map { child in
                    (program.isSandbox ? child.firstInSandbox : child.pid)
                        .flatMap { TaskTree(root: $0, isSandbox: program.isSandbox) }
                }
                let waits = tasks.compactMap { $0?.waited }.reduce(0, +)
                if tasks[0]?.hasOthersRunning != true { waited += max(0, waits - (waitedBefore ?? waits)) }
                waitedBefore = waits
                let allowed = seconds + min(waited, seconds * Self.stretch)
                if begun.duration(to: .now) >= .seconds(allowed) { return .timeout }
            } else if started.duration(to: .now) >= .seconds(Self.patience) {
                break
            }
        }
        guard begun != nil else { throw fault }
        return .error("the process of its checks \(checks.end)")
    }

    private func verdict(_ report: Harness.Report, hasBegun: Bool) throws -> Verdict {
        let detail = report.detail.printable
        switch report.verdict {
        case "passed": return .passed
        case "failed": return .failed(detail)
        case "ended" where detail.isEmpty:
            let start = ContinuousClock.now
            while !program.reap(), start.duration(to: .now) < .seconds(Self.grace) { program.poll(milliseconds: 1) }
            guard hasBegun else { throw fault }
            return .error(program.end + " before its checks were done")
        default: return .error(detail)
        }
    }

    /// The complete lines that the checks have written.
    private var lines: [String] {
        let bytes = checks.streams[2].bytes
        return bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast()
            .map { String(decoding: $0, as: UTF8.self) }
    }

    private var report: Harness.Report? {
        lines.last.flatMap { try? JSONText.decode(Harness.Report.self, from: Array($0.utf8), of: "report") }
    }

    /// The error before the program started.
    private var fault: FormatError {
        let errors = [program, checks].map { String(decoding: $0.streams[1].bytes, as: UTF8.self) }
        let last = errors.lazy.compactMap { $0.split(whereSeparator: \.isNewline).last }.first
        let detail = last.map { ": " + $0.drop { $0 == " " } } ?? ""
        return FormatError(program.isSandbox ? "bwrap" : "python", "the sandbox did not start" + detail)
    }
}

extension ChildProcess {
    /// Seconds that bubblewrap has for naming the sandbox's first process.
    private static let naming = 1.0
    /// Seconds after which a process that does not go away is left.
    private static let patience = 4.0

    /// Kills everything that the process started. In the sandbox the end of the first process ends all others, and bubblewrap
    /// waits for it; without bubblewrap, which alone knows it, it would stay. Outside there is only the process group.
    func stop() {
        guard isSandbox else {
            kill(-pid, SIGKILL)
            while !reap() { poll(milliseconds: 1) }
            return
        }
        let start = ContinuousClock.now
        var ended: ContinuousClock.Instant?
        while start.duration(to: .now) < .seconds(Self.patience) {
            let first = firstInSandbox
            if !reap() {
                if let first { kill(first, SIGKILL) }
                if start.duration(to: .now) > .seconds(Self.naming) { kill(pid, SIGKILL) }
                if first == nil { poll(milliseconds: 0) }
            } else {
                let since = ended ?? .now
                ended = since
                // Where no process reaps orphans, the first process remains as a zombie.
                let isGone = first.map { kill($0, 0) != 0 } ?? true
                if isGone || since.duration(to: .now) > .seconds(0.2) { return }
            }
            usleep(1000)
        }
    }

    /// The process id of the sandbox's first process, which bubblewrap writes to descriptor 4.
    var firstInSandbox: pid_t? {
        let text = String(decoding: streams[3].bytes, as: UTF8.self)
        guard let mark = text.firstRange(of: "\"child-pid\":") else { return nil }
        let digits = text[mark.upperBound...].drop { $0 == " " }.prefix { $0.isNumber }
        return pid_t(digits)
    }
}
