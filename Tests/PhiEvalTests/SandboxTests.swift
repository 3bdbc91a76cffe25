import Foundation
import PhiEval
import PhiFormat
import PhiTestSupport
import Synchronization
import Testing

/// Hostile programs in the sandbox: each fails within its time, the run continues, and no process is left.
/// Longer than 350 lines because they are one list.
@Suite(.serialized) struct SandboxTests {
    /// A sandbox that gives a program one second.
    static let sandbox = make(seconds: 1)
    /// A sandbox that gives a program more time than an honest one takes on a busy machine.
    static let patient = make(seconds: 30)

    private static func make(seconds: Double) -> Result<Sandbox, any Error> {
        var limits = Sandbox.Limits()
        limits.seconds = seconds
        return Result { [limits] in try Sandbox(limits: limits) }
    }

    /// Skips a test where no sandbox can be made.
    static var needsSandbox: ConditionTrait {
        let fault = if case .failure(let error) = sandbox { "\(error)" } else { "" }
        return .enabled(if: fault.isEmpty, "no sandbox here: \(fault)")
    }

    /// A program, and the verdicts that it may get.
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let verdicts: Set<String>
        let program: String
        var testDescription: String { name }
    }

    /// Calls go through `posix` and `ctypes`, because names like `os.kill` are taken away.
    static let hostile = [
        Case(
            name: "fork bomb", verdicts: ["error", "timeout", "failed"],
            program: """
                import posix
                while True:
                    try:
                        posix.fork()
                    except OSError:
                        pass
                """),
        Case(
            name: "threads without end", verdicts: ["error", "timeout"],
            program: """
                import threading, time
                while True:
                    threading.Thread(target=time.sleep, args=(60,)).start()
                """),
        Case(name: "10 GB at once", verdicts: ["error"], program: "x = bytearray(10 << 30)"),
        Case(
            name: "10 GB little by little", verdicts: ["error", "timeout"],
            program: """
                x = []
                while True:
                    x.append(bytearray(1 << 20))
                """),
        Case(name: "output without end", verdicts: ["timeout"], program: "while True: print('x' * 100_000)"),
        Case(
            name: "output without end by the back door", verdicts: ["timeout", "error"],
            program: """
                import posix
                while True:
                    for descriptor in range(8):
                        try:
                            posix.write(descriptor, b'x' * 100_000)
                        except OSError:
                            pass
                """),
        Case(
            name: "network", verdicts: ["error"],
            program: """
                import socket
                server = socket.create_connection(("127.0.0.1", PORT), timeout=0.5)
                """),
        Case(
            name: "network by its device", verdicts: ["failed"],
            program: """
                assert [line.split(":")[0].strip() for line in open("/proc/net/dev")][2:] != ["lo"]
                """),
        Case(
            name: "writing outside", verdicts: ["error"],
            program: """
                import posix
                wrong = []
                for path in ["/x", "/usr/x", "/etc/x", "/dev/x", "/proc/x", "/root/x", "/home/x", "FOLDER/x"]:
                    try:
                        open(path, "w").write("x")
                        wrong.append(path)
                    except OSError:
                        pass
                assert not wrong, wrong
                raise OSError("none could be written")
                """),
        Case(
            name: "reading the user's files", verdicts: ["error"], program: "print(open('FOLDER/secret').read())"),
        Case(
            name: "a large file", verdicts: ["error"],
            program: """
                with open("/tmp/large", "wb") as file:
                    while True:
                        file.write(bytes(1 << 20))
                """),
        Case(
            name: "many files", verdicts: ["error", "timeout"],
            program: """
                for number in range(10_000):
                    open(f"/tmp/{number}", "wb").write(bytes(8 << 20))
                """),
        Case(
            name: "killing the parent", verdicts: ["error", "timeout"],
            program: """
                import posix, signal
                for target in [posix.getppid(), 1, -1]:
                    try:
                        posix.kill(target, signal.SIGKILL)
                    except OSError:
                        pass
                while True:
                    pass
                """),
        Case(
            name: "killing itself", verdicts: ["error"], program: "import posix, signal; posix.kill(posix.getpid(), 9)"),
        Case(
            name: "a socket to the host of a virtual machine", verdicts: ["error"],
            program: "import socket\nsocket.socket(40, 1)"),
        Case(name: "sleeping", verdicts: ["timeout"], program: "import time\ntime.sleep(1000)"),
        Case(
            name: "a loop that catches everything", verdicts: ["timeout"],
            program: """
                import signal
                for number in range(1, 32):
                    try:
                        signal.signal(number, signal.SIG_IGN)
                    except (OSError, ValueError):
                        pass
                while True:
                    try:
                        while True:
                            pass
                    except BaseException:
                        pass
                """),
        Case(
            name: "a daemon", verdicts: ["error"],
            program: """
                import posix, time
                if posix.fork() == 0:
                    posix.setsid()
                    if posix.fork() == 0:
                        for descriptor in range(64):
                            try:
                                posix.close(descriptor)
                            except OSError:
                                pass
                        time.sleep(1000)
                    posix._exit(0)
                posix._exit(0)
                """),
        Case(name: "an early end", verdicts: ["error"], program: "import posix\nposix._exit(0)\nassert False"),
        Case(name: "a polite early end", verdicts: ["error"], program: "import sys\nsys.exit(0)\nassert False"),
        Case(name: "an end in a finaliser", verdicts: ["error"], program: "raise SystemExit"),
        Case(
            name: "a child that goes on", verdicts: ["error"],
            program: """
                import posix, time
                if posix.fork():
                    posix._exit(0)
                """),
        Case(
            name: "a forged report", verdicts: ["error"],
            program: """
                import posix
                posix.write(3, b'{"token": "1", "verdict": "passed", "detail": ""}\\n' * 10)
                posix._exit(0)
                """),
        Case(name: "a crash", verdicts: ["error"], program: "import ctypes\nctypes.string_at(0)"),
        Case(
            name: "recursion", verdicts: ["error", "timeout"],
            program: """
                import sys
                sys.setrecursionlimit(10 ** 9)
                f = lambda: f()
                f()
                """),
        Case(name: "no Python", verdicts: ["error"], program: "def f(:\n"),
        Case(name: "a zero byte", verdicts: ["error"], program: "x = 1\0\n"),
        Case(name: "reading input", verdicts: ["error"], program: "input()"),
        Case(
            name: "an error that cannot be shown", verdicts: ["error", "failed"],
            program: """
                class E(AssertionError):
                    def __str__(self):
                        raise SystemExit(0)
                raise E
                """),
        Case(
            name: "a terminal's commands", verdicts: ["failed"], program: "assert False, '\\x1b[2J' + 'x' * 1_000_000"),
        Case(name: "root", verdicts: ["failed"], program: "import os\nassert os.getuid() == 0"),
        Case(
            name: "becoming root", verdicts: ["error"],
            program: "import posix\nposix.setresgid(0, 0, 0)\nposix.setresuid(0, 0, 0)"),
    ]

    @Test(needsSandbox, .timeLimit(.minutes(2)), arguments: hostile) func holds(_ hostile: Case) throws {
        let sandbox = try Self.sandbox.get(), patient = try Self.patient.get()
        let folder = try TemporaryFolder()
        try folder.write("secret", "secret")
        let server = try Server()
        let program = hostile.program.replacing("FOLDER", with: folder.path).replacing("PORT", with: "\(server.port)")
        let verdict = try sandbox.run(program + "\n", "assert f(6) == 42")
        #expect(hostile.verdicts.contains(verdict.name), "\(verdict)")
        #expect(verdict.detail.utf8.count < 2000 && !verdict.detail.unicodeScalars.contains { $0.value < 32 })
        expectNothingLeft()
        #expect(folder.names == ["secret"])
        // Right after it, an honest program still passes.
        #expect(try patient.run("assert 1 + 1 == 2\n") == .passed)
    }

    @Test(needsSandbox) func passesHonestPrograms() throws {
        let sandbox = try Self.patient.get()
        for program in [
            "", "pass", "print('a lot' * 1000)", "import os\nassert os.environ['HOME'] == '/tmp'",
            "open('/tmp/mine', 'w').write('x')\nassert open('/tmp/mine').read() == 'x'",
            "import asyncio, socket\nasyncio.run(asyncio.sleep(0))\nsocket.socket().close()",
            "x = bytearray(500 << 20)", "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()",
            "if __name__ == '__main__': assert False", "import statistics, decimal, heapq, itertools, re, random",
            "import sys\nsys.stdout = None",
            "import os, json\nos.write = json.dumps = json.loads = os._exit = os.getpid = None",
            "assert '\u{E9}\u{1F600}' == chr(233) + chr(128512)",
        ] { #expect(try sandbox.run(program) == .passed, "\(program)") }
    }

    @Test(needsSandbox) func reportsTheFailure() throws {
        let sandbox = try Self.patient.get()
        #expect(
            try sandbox.run("def check(f):\n    assert f(2) == 4\n    assert f(3) == 9\ncheck(lambda x: x + 2)")
                == .failed("assert f(3) == 9"))
        #expect(try sandbox.run("assert False, 'too\\nbad'") == .failed("assert False, 'too\\nbad' (too bad)"))
        #expect(
            try sandbox.run("def f():\n    return [][0]\nf()")
                == .error("IndexError: list index out of range, at return [][0]"))
        #expect(
            try sandbox.run("import posix\nposix._exit(0)") == .error("ended with status 0 before its checks were done")
        )
    }

    @Test(needsSandbox) func runsMany() throws {
        let sandbox = try Self.sandbox.get()
        let texts = (0..<40).map { number in
            switch number % 8 {
            case 3: "assert False"
            case 5: "import posix\nwhile True:\n    try: posix.fork()\n    except OSError: pass"
            case 7: "import time\ntime.sleep(60)"
            default: "import posix\nif posix.fork() == 0:\n    posix._exit(0)\nassert \(number) < 100"
            }
        }
        let programs = texts.map { CheckedProgram($0, checks: CheckedProgram.Checks("")) }
        let verdicts = try sandbox.judge(programs, workers: 4)
        #expect(verdicts.count == 40)
        for (number, verdict) in verdicts.enumerated() {
            switch number % 8 {
            case 3: #expect(verdict == .failed("assert False"))
            case 5, 7: #expect(!verdict.isPassed)
            // Others' bombs take nothing away from these.
            default: #expect(verdict.isPassed, "\(number): \(verdict)")
            }
        }
        #expect(throws: CancellationError.self) { try sandbox.judge(programs, workers: 2) { $0 < 3 } }
    }

    @Test(needsSandbox) func programsThatRunAreKilledWhenNobodyWantsThem() throws {
        let sandbox = try Self.patient.get()
        let programs = [CheckedProgram("import time\ntime.sleep(1000)", checks: CheckedProgram.Checks(""))]
        let calls = Mutex(0)
        #expect(throws: CancellationError.self) {
            try sandbox.judge(programs, workers: 1) { _ in
                calls.withLock {
                    $0 += 1; return $0 < 20
                }
            }
        }
        // Its time would have been over after a thousand calls and more.
        #expect(calls.withLock { $0 } < 100)
        expectNothingLeft()
    }

    @Test(needsSandbox) func anotherTimeLimitThanTheProbes() throws {
        var limits = Sandbox.Limits()
        limits.seconds = 0.001
        let sandbox = try Sandbox(limits: limits)
        #expect(try sandbox.run("import time\ntime.sleep(1)") == .timeout)
    }

    @Test func refusesWithoutPython() {
        #expect(throws: FormatError.self) { try Sandbox(python: "no-such-python", allowUnsandboxed: true) }
        #expect(throws: FormatError.self) { try Sandbox(python: "true", allowUnsandboxed: true) }
    }

    @Test func worksWithoutBubblewrap() throws {
        var limits = Sandbox.Limits()
        limits.seconds = 1
        let sandbox = try Sandbox(allowUnsandboxed: true, limits: limits)
        #expect(!sandbox.isConfined)
        #expect(try sandbox.run("assert True") == .passed)
        #expect(try sandbox.run("assert False") == .failed("assert False"))
        #expect(try sandbox.run("import time\ntime.sleep(60)") == .timeout)
        #expect(try !sandbox.run("import posix\nposix._exit(0)").isPassed)
        #expect(try !sandbox.run("x = bytearray(10 << 30)").isPassed)
    }

    /// Expects sandboxed processes to end soon: tests that run at the same time have theirs for a moment.
    func expectNothingLeft() {
        var left = Self.sandboxed()
        for _ in 0..<300 where !left.isEmpty {
            usleep(100_000)
            left.formIntersection(Self.sandboxed())
        }
        #expect(left.isEmpty, "something is left running")
    }

    /// Processes of this machine whose command line is the harness's: bubblewrap, Python and what it has forked.
    private static func sandboxed() -> Set<Int> {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return Set(
            all.compactMap(Int.init).filter { pid in
                let command = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data()
                return command.range(of: Data("class Nowhere(io.StringIO)".utf8)) != nil
            })
    }
}

extension Sandbox {
    /// Runs a program, with checks or with none.
    func run(_ text: String, _ checks: String = "") throws -> Verdict {
        try run(CheckedProgram(text, checks: CheckedProgram.Checks(checks)))
    }
}

/// A server on this machine that a program may try to reach.
private final class Server {
    let port: Int
    private let descriptor: Int32

    init() throws {
        let descriptor = streamSocket()
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isOpen = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 && listen(descriptor, 8) == 0 && getsockname(descriptor, $0, &size) == 0
            }
        }
        self.descriptor = descriptor
        port = Int(UInt16(bigEndian: address.sin_port))
        try #require(isOpen)
    }

    deinit { close(descriptor) }
}
