import PhiFormat
import PhiJSON
import PhiSystem

/// A run of a program in the sandbox, up to its verdict.
struct SandboxedRun {
    let child: ChildProcess
    let isConfined: Bool
    /// Seconds that a sandbox may take to start.
    private static let patience = 60.0
    private static let tick: Int32 = 20
    /// The largest factor by which waiting for a processor extends the time limit.
    private static let stretch = 20.0

    /// Waits for the report with the token, at most this many seconds from the program's first statement, then kills the
    /// program. Where Linux reports it, time in which the program was runnable but had no processor does not count, so a busy
    /// machine gives the verdicts of an idle one. Throws ``FormatError`` when the program did not start.
    func verdict(token: String, seconds: Double) throws -> Verdict {
        defer { end() }
        let started = ContinuousClock.now
        var begun: ContinuousClock.Instant?
        var waitedBefore = 0.0
        while true {
            let isOver = child.status != nil
            child.poll(milliseconds: Self.tick)
            if begun == nil, report.contains(UInt8(ascii: "\n")) {
                begun = .now
                waitedBefore = waited ?? 0
            }
            if let verdict = verdict(token) { return verdict }
            // Checked once more after the end, when everything the program wrote has arrived.
            if isOver { break }
            if report.count >= ChildProcess.limit { return .error("wrote into the report of its checks") }
            if let begun, begun.duration(to: .now) >= .seconds(seconds) {
                let waited = min(waited.map { $0 - waitedBefore } ?? 0, seconds * Self.stretch)
                if begun.duration(to: .now) >= .seconds(seconds + waited) { return .timeout }
            }
            if begun == nil, started.duration(to: .now) >= .seconds(Self.patience) { break }
        }
        guard begun != nil else { throw FormatError(isConfined ? "bwrap" : "python", complaint) }
        let status = child.status ?? 0
        let end = status & 0x7F == 0 ? "with status \(status >> 8 & 0xFF)" : "by signal \(status & 0x7F)"
        return .error("ended \(end) before its checks were done")
    }

    private var report: [UInt8] { child.streams[2].bytes }

    /// The verdict in the report, if its line is complete and carries the token.
    private func verdict(_ token: String) -> Verdict? {
        let lines = report.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for line in lines.dropFirst().dropLast() {
            guard let report = try? JSONText.decode(Harness.Report.self, from: Array(line), of: "report"),
                report.token == token
            else { continue }
            switch report.verdict {
            case "passed": return .passed
            case "failed": return .failed(report.detail.harmless)
            default: return .error(report.detail.harmless)
            }
        }
        return nil
    }

    /// The error before the program started.
    private var complaint: String {
        let error = String(decoding: child.streams[1].bytes, as: UTF8.self)
        let lines = error.split(whereSeparator: \.isNewline)
        guard let last = lines.last else { return "the sandbox did not start" }
        return "the sandbox did not start: " + last.drop { $0 == " " }
    }

    /// Kills everything that the program started. In the sandbox the end of the first process ends all others, and bubblewrap
    /// waits for it; outside there is only the process group.
    private func end() {
        guard isConfined else {
            kill(-child.pid, SIGKILL)
            while !child.reap() { child.poll(milliseconds: 1) }
            return
        }
        let first = firstProcess
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

    /// Seconds that the program's first thread was runnable without a processor, if the system reports them.
    private var waited: Double? {
        var pid: pid_t? = child.pid
        if isConfined {
            // The program is the only child of the sandbox's first process.
            let children = firstProcess.flatMap { SystemText.read("/proc/\($0)/task/\($0)/children") }
            pid = children?.split(separator: " ").first.flatMap { pid_t($0) }
        }
        // Nanoseconds running, nanoseconds waiting, time slices.
        let fields = pid.flatMap { SystemText.read("/proc/\($0)/schedstat") }?.split(separator: " ")
        guard let fields, fields.count >= 2 else { return nil }
        return Double(fields[1]).map { $0 * 1e-9 }
    }

    /// The process id of the sandbox's first process, which bubblewrap writes to descriptor 4.
    private var firstProcess: pid_t? {
        let text = String(decoding: child.streams[3].bytes, as: UTF8.self)
        guard let mark = text.firstRange(of: "\"child-pid\":") else { return nil }
        let digits = text[mark.upperBound...].drop { $0 == " " }.prefix { $0.isNumber }
        return pid_t(digits)
    }
}

extension String {
    /// Without control characters, which could reach the user's terminal.
    fileprivate var harmless: String {
        String(
            String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? "\u{FFFD}" : $0 })
        )
    }
}
