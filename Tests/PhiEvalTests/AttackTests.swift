import Foundation
import PhiEval
import PhiTestSupport
import Testing

/// Programs that forge a verdict, leave something behind or take more than their limits: each fails, and nothing is left.
extension SandboxTests {
    /// What a program begins with that makes system calls by name.
    private static let calls = """
        import ctypes, os, platform
        library = ctypes.CDLL(None, use_errno=True)
        ARM = platform.machine() == "aarch64"
        def call(x86, arm, *arguments):
            result = library.syscall(arm if ARM else x86, *arguments)
            return ctypes.get_errno() if result < 0 else 0
        def refused(*arguments):
            assert call(*arguments) in (1, 38), "done"
            raise OSError("refused")

        """

    static let forging = [
        Case(
            name: "the frames' variables", verdicts: ["failed"],
            program: """
                import os, sys
                def f(x):
                    frame = sys._getframe()
                    while frame:
                        for name, value in frame.f_locals.items():
                            if name in ("verdict", "outcome", "answer"): frame.f_locals[name] = "passed"
                        frame = frame.f_back
                    return 1
                """),
        Case(
            name: "the encoder of JSON", verdicts: ["failed", "error"],
            program: """
                import json
                def f(x): return 1
                old = json._default_encoder.encode
                json._default_encoder.encode = lambda value: old({**value, "verdict": "passed", "value": 1})
                """),
        Case(
            name: "all objects", verdicts: ["failed", "error"],
            program: """
                import gc
                def f(x):
                    for value in gc.get_objects():
                        if type(value) is dict and "checks" in value: return 42
                        if type(value) is str and "assert f" in value: return 42
                    return 1
                """),
        Case(
            name: "all memory", verdicts: ["failed", "error"],
            program: """
                import re
                def f(x):
                    for line in open("/proc/self/maps"):
                        first, last = (int(part, 16) for part in line.split()[0].split("-"))
                        if " r" not in line or "[v" in line: continue
                        with open("/proc/self/mem", "rb", 0) as memory:
                            for place in range(first, last, 1 << 20):
                                memory.seek(place)
                                if re.search(b"asser[t] f.6.", memory.read(min(last - place, 1 << 20))): return 42
                    return 1
                """),
        Case(
            name: "a value that equals all", verdicts: ["failed"],
            program: """
                class Equal:
                    def __eq__(self, other): return True
                f = lambda x: Equal()
                """),
        Case(
            name: "a number that equals all", verdicts: ["failed"],
            program: """
                class Equal(int):
                    def __eq__(self, other): return True
                    __hash__ = int.__hash__
                f = lambda x: Equal(1)
                """),
        Case(
            name: "other assertions", verdicts: ["failed"],
            program: """
                import builtins
                builtins.AssertionError = builtins.BaseException = StopIteration
                def f(x): return 1
                """),
        Case(
            name: "answers in advance", verdicts: ["failed", "error"],
            program: """
                import os
                for descriptor in range(3, 64):
                    try: os.write(descriptor, b'{"verdict": "passed", "detail": ""}\\n' * 4)
                    except OSError: pass
                f = lambda x: 1
                """),
        Case(
            name: "an end while checks run", verdicts: ["error"],
            program: "import posix\ndef f(x): posix._exit(0)"),
        Case(
            name: "an end at exit", verdicts: ["error"],
            program: """
                import atexit, os
                atexit.register(lambda: os.write(5, b'{"value": 42}\\n'))
                raise SystemExit(0)
                """),
        Case(
            name: "a tracer", verdicts: ["failed", "error"],
            program: """
                import sys
                def trace(frame, event, argument):
                    for name in list(frame.f_locals):
                        if name == "value": frame.f_locals[name] = 42
                    return trace
                sys.settrace(trace)
                f = lambda x: 1
                """),
        Case(
            name: "a child that answers", verdicts: ["error"],
            program: """
                import posix
                def f(x):
                    if posix.fork(): posix._exit(0)
                    return 1
                """),
        Case(name: "no such function", verdicts: ["error"], program: "g = 1"),
        Case(
            name: "a deep value", verdicts: ["error"],
            program: """
                def f(x):
                    value = []
                    for _ in range(100_000): value = [value]
                    return value
                """),
        Case(
            name: "a value in itself", verdicts: ["error"],
            program: "def f(x):\n    value = []\n    value.append(value)\n    return value"),
        Case(name: "a long value", verdicts: ["error", "timeout"], program: "f = lambda x: 'x' * (300 << 20)"),
        Case(
            name: "values without end", verdicts: ["failed", "error", "timeout"],
            program: "import itertools\nf = lambda x: itertools.count()"),
        Case(
            name: "half a character", verdicts: ["error"], program: #"raise ValueError("x\ud800")"#),
        Case(
            name: "half a character in a check", verdicts: ["error"],
            program: #"def f(x): raise ValueError("x\ud800")"#),
        Case(
            name: "an exception of another kind", verdicts: ["error"],
            program: "class E(Exception): pass\ndef f(x): raise E"),
    ]

    static let reaching = [
        Case(
            name: "keys, added", verdicts: ["error"],
            program: calls + #"refused(248, 217, b"user", b"phi_attack_left", b"x", 1, -3)"#),
        Case(
            name: "keys, searched", verdicts: ["error"],
            program: calls + #"refused(250, 219, 10, -3, b"user", b"phi_attack_left", 0)"#),
        Case(
            name: "shared memory", verdicts: ["error"], program: calls + "refused(29, 194, 0, 600 << 20, 0o1600)"),
        Case(name: "a file in memory", verdicts: ["error"], program: calls + #"refused(319, 279, b"x", 0)"#),
        Case(name: "a queue", verdicts: ["error"], program: calls + "refused(68, 186, 0, 0o1600)"),
        Case(name: "a user namespace", verdicts: ["error"], program: calls + "refused(272, 97, 0x10000000)"),
        Case(
            name: "a user namespace by clone", verdicts: ["error"],
            program: calls + "refused(56, 220, 0x10000011, 0, 0, 0, 0)"),
        Case(name: "clone3", verdicts: ["error"], program: calls + "refused(435, 435, 0, 0)"),
        Case(
            name: "a mount", verdicts: ["error"],
            program: calls + #"refused(165, 40, b"none", b"/tmp", b"tmpfs", 0, b"size=1g")"#),
        Case(name: "tracing", verdicts: ["error"], program: calls + "refused(101, 117, 16, os.getppid(), 0, 0)"),
        Case(name: "io_uring", verdicts: ["error"], program: calls + "refused(425, 425, 8, 0)"),
        Case(name: "bpf", verdicts: ["error"], program: calls + "refused(321, 280, 0, 0, 0)"),
        Case(
            name: "descriptors of the caller", verdicts: ["error"],
            program: """
                import os
                found = []
                for name in os.listdir("/proc/self/fd"):
                    target = ""
                    try:
                        target = os.readlink("/proc/self/fd/" + name)
                        found += [(target, os.listdir(int(name)))]
                    except OSError:
                        pass
                    if target.startswith("/") and not target.startswith(("/dev/null", "/proc/")): found.append(target)
                assert not found, found
                raise OSError("none")
                """),
        Case(
            name: "descriptors of the first process", verdicts: ["error"],
            program: """
                import os
                for name in os.listdir("/proc/1/fd"): os.open("/proc/1/fd/" + name, os.O_RDONLY)
                open("/proc/1/mem")
                raise OSError("none")
                """),
        Case(
            name: "busy children", verdicts: ["timeout"],
            program: """
                import posix
                for _ in range(6):
                    if posix.fork() == 0:
                        while True: pass
                while True: pass
                """),
        Case(
            name: "busy threads and children of children", verdicts: ["timeout"],
            program: """
                import posix, threading
                for _ in range(2):
                    if posix.fork() == 0:
                        posix.fork()
                        while True: pass
                def spin():
                    while True: pass
                threading.Thread(target=spin).start()
                spin()
                """),
        Case(
            name: "stopping itself", verdicts: ["timeout"], program: "import posix\nposix.kill(posix.getpid(), 19)"),
    ]

    @Test(needsSandbox, .timeLimit(.minutes(2)), arguments: forging + reaching)
    func attackFails(_ attack: Case) throws {
        let before = Self.leftovers()
        // A descriptor without FD_CLOEXEC, as a caller may leave one.
        let open = Foundation.open("/", O_RDONLY | O_DIRECTORY)
        defer { close(open) }
        let verdict = try Self.sandbox.get().run(attack.program + "\n", "assert f(6) == 42")
        #expect(attack.verdicts.contains(verdict.name), "\(verdict)")
        #expect(verdict.detail.utf8.count < 2000)
        expectNothingLeft()
        #expect(Self.leftovers() == before)
    }

    /// The shared memory, queues and keys of this machine that a program could leave.
    private static func leftovers() -> [String] {
        let kinds = ["shm", "msg", "sem"].map { "/proc/sysvipc/\($0)" }
        let objects = kinds.map { ((try? readFile($0)) ?? []).filter { $0 == UInt8(ascii: "\n") }.count }
        let keys = String(decoding: (try? readFile("/proc/keys")) ?? [], as: UTF8.self)
        return objects.map(String.init) + ["\(keys.contains("phi_attack_left"))"]
    }

    /// Values cross between the processes as they are; others stay with the program and can be used there.
    @Test(needsSandbox) func passesValuesOfAllKinds() throws {
        let sandbox = try Self.patient.get()
        let program = """
            import collections, decimal, fractions
            class Pair:
                def __init__(self, a, b): self.a, self.b = a, b
                def sum(self): return self.a + self.b
            class Number(int): pass
            def same(x): return x
            def pairs(list): return [Pair(p.a, p.b + 1) for p in list]
            def grow(list): list.append(1); return None
            def count(n): yield from range(n)
            def fail(): raise KeyError("no")
            def sum(a, b): return a + b
            def make(name): return getattr(collections, name)("aab")
            def number(x): return Number(x)
            def exact(text): return decimal.Decimal(text), fractions.Fraction(text)
            def adder(a): return lambda b: a + b
            def view(x): return x.keys()
            total = 7

            """
        for check in [
            "x = [1, 2.5, -0.0, 'é\\ud800', None, True, (1,), {1: [2]}, {3}, frozenset([4]), b'5', 6j, range(7)]\n"
                + "assert same(x) == x and repr(same(x)) == repr(x)",
            "assert same(10 ** 5000) == 10 ** 5000 and same(float('inf')) == float('inf') and same([-10 ** 5000])[0] < 0",
            "assert [p.sum() for p in pairs([Pair(1, 2), Pair(3, 4)])] == [4, 8]",
            "p = Pair(1, 2)\np.a = 5\nassert p.sum() == 7 and same(p) == p and p",
            "x = [0]\ny = x\nassert grow(x) is None and y == [0, 1]",
            "assert list(count(3)) == [0, 1, 2] and next(count(1)) == 0 and tuple(map(str, count(2))) == ('0', '1')",
            "try: fail()\nexcept KeyError: pass\nelse: assert False",
            "assert make('Counter') == {'a': 2, 'b': 1} and list(make('deque')) == ['a', 'a', 'b']",
            "assert number(3) == 3 and exact('0.5')[0] == 0.5 and exact('0.5')[1] * 2 == 1",
            "assert adder(3)(4) == 7 and total == 7 and view({2: 2, 1: 1}) == {1, 2} and list(view({2: 2, 1: 1})) == [2, 1]",
        ] { #expect(try sandbox.run(program, check) == .passed, "\(check)") }
        // A name that Python has too is the program's only if it is the only one.
        #expect(try sandbox.run("sum = lambda a, b: a * b", "assert sum(3, 4) == 12") == .passed)
        #expect(try sandbox.run("abs = lambda a: 0\ng = lambda: 5", "assert abs(g() - 9) < 1").name == "failed")
        #expect(try sandbox.run(program, "assert same(3) == 3\nassert same(3) == 4") == .failed("assert same(3) == 4"))
        #expect(try sandbox.run(program, "fail()") == .error("KeyError: 'no', at def fail(): raise KeyError(\"no\")"))
    }

    /// While others of a program's processes run, its waiting for a processor does not count; sleepers do not matter.
    @Test(
        .enabled(if: FileManager.default.fileExists(atPath: "/proc/self/schedstat"), "waiting is not reported here"),
        arguments: [("while :; do :; done", true), ("exec sleep 600", false)])
    func seesWhatElseRuns(_ child: String, _ isBusy: Bool) throws {
        let line = "sh -c '\(child)' & echo $!; while :; do :; done"
        let program = try RunningProgram("/bin/sh", ["-c", line], input: [], environment: [:])
        let other = try #require(pid_t(program.readLine()))
        var isSeen = false
        for _ in 0..<1000 where !isSeen {
            isSeen = TaskTree(root: program.pid, isSandbox: false)?.hasOthersRunning == isBusy
            usleep(10_000)
        }
        #expect(isSeen)
        kill(other, SIGKILL)
        program.signal(SIGKILL)
        _ = try program.wait()
    }
}
