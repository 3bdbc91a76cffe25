import PhiFormat
import PhiJSON
import PhiSystem

/// A run of a program and its checks in two sandboxes, up to its verdict.
struct SandboxedRun {
    let program: ChildProcess
    let checks: ChildProcess
    let isConfined: Bool
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
    /// Throws ``FormatError`` when the program did not start.
    func verdict(seconds: Double) throws -> Verdict {
        defer {
            end(program)
            end(checks)
        }
        let started = ContinuousClock.now
        var begun: ContinuousClock.Instant?
        var waited = 0.0
        var waitedBefore: Double?
        while true {
            let isOver = checks.status != nil
            checks.poll(milliseconds: Self.tick)
            program.poll(milliseconds: 0)
            if let report { return try verdict(report, hasBegun: lines.first == "begin") }
            // Checked once more after the end, when everything has arrived.
            if isOver { break }
            if begun == nil, !lines.isEmpty { begun = .now }
            if let begun {
                let tasks = [program, checks].map { child in
                    (isConfined ? child.firstInSandbox : child.pid)
                        .flatMap { TaskTree(root: $0, isSandbox: isConfined) }
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
        return FormatError(isConfined ? "bwrap" : "python", "the sandbox did not start" + detail)
    }

    /// Kills everything that a process started. In the sandbox the end of the first process ends all others, and bubblewrap
    /// waits for it; outside there is only the process group.
    private func end(_ child: ChildProcess) {
        guard isConfined else {
            kill(-child.pid, SIGKILL)
            while !child.reap() { child.poll(milliseconds: 1) }
            return
        }
        let first = child.firstInSandbox
        let isGone = { first.map { kill($0, 0) != 0 } ?? true }
        for attempt in 0..<2000 {
            if !child.reap() {
                if let first { kill(first, SIGKILL) }
                if first == nil || attempt > 1000 { kill(child.pid, SIGKILL) }
            } else if isGone() || attempt > 200 {
                // Where no process reaps orphans, the first process remains as a zombie.
                return
            }
            usleep(1000)
        }
    }
}

extension ChildProcess {
    /// The process id of the sandbox's first process, which bubblewrap writes to descriptor 4.
    var firstInSandbox: pid_t? {
        let text = String(decoding: streams[3].bytes, as: UTF8.self)
        guard let mark = text.firstRange(of: "\"child-pid\":") else { return nil }
        let digits = text[mark.upperBound...].drop { $0 == " " }.prefix { $0.isNumber }
        return pid_t(digits)
    }
}
