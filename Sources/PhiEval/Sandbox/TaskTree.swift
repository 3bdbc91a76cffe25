import PhiSystem

/// The threads of the processes in a sandbox, as /proc shows them.
package struct TaskTree {
    /// Seconds that the first thread was runnable without a processor.
    let waited: Double
    private let processes: [pid_t]

    /// The tree below a program, or below a sandbox's first process, which starts the program first and adopts orphans. Nil where
    /// the system does not report it, or the process is gone.
    package init?(root: pid_t, isSandbox: Bool) {
        let processes = isSandbox ? Self.children(of: root, root) : [root]
        guard let first = processes.first else { return nil }
        // Nanoseconds running, nanoseconds waiting, time slices.
        let fields = SystemText.read("/proc/\(first)/schedstat")?.split(separator: " ")
        guard let fields, fields.count >= 2, let nanoseconds = Double(fields[1]) else { return nil }
        waited = nanoseconds * 1e-9
        self.processes = processes
    }

    /// Whether any thread but the first has a processor or waits for one.
    package var hasOthersRunning: Bool {
        var left = processes
        while let process = left.popLast() {
            for thread in Self.threads(of: process) {
                if thread != processes.first && Self.isRunning(process, thread) { return true }
                left += Self.children(of: process, thread)
            }
        }
        return false
    }

    private static func children(of process: pid_t, _ thread: pid_t) -> [pid_t] {
        let text = SystemText.read("/proc/\(process)/task/\(thread)/children")
        return text?.split(separator: " ").compactMap { pid_t($0) } ?? []
    }

    private static func threads(of process: pid_t) -> [pid_t] {
        SystemText.numbers(in: "/proc/\(process)/task") ?? []
    }

    /// Whether the state, after the name in parentheses, is running or runnable.
    private static func isRunning(_ process: pid_t, _ thread: pid_t) -> Bool {
        let text = SystemText.read("/proc/\(process)/task/\(thread)/stat") ?? ""
        guard let end = text.lastIndex(of: ")") else { return false }
        return text[end...].dropFirst().first { $0 != " " } == "R"
    }
}
