import Foundation
import PhiTestSupport
import Testing

/// Threads in environments that end programs which use LLVM's libomp: the same text comes out of all of them.
@Suite struct ThreadTests {
    private static let completion = #""$PHI" complete -m "$1" -n 12 --no-echo -t 8 "def f(x):""#

    private func expected() throws -> [UInt8] {
        try Command.run("complete", "-m", Models.path(), "-n", "12", "--no-echo", "-t", "1", "def f(x):").output
    }

    private func expectSame(_ outcome: Outcome, _ comment: Comment) throws {
        #expect(outcome.status == 0 && outcome.signal == 0, "\(comment): \(outcome.errorText)")
        #expect(try outcome.output == expected(), comment)
        #expect(outcome.errorText.filter(\.isNewline).count == 1, "\(comment): \(outcome.errorText)")
    }

    @Test(arguments: [
        ["OMP_NUM_THREADS": ""], ["OMP_NUM_THREADS": "many"], ["OMP_NUM_THREADS": "99999999999"],
        ["OMP_THREAD_LIMIT": "1", "OMP_DYNAMIC": "", "OMP_NESTED": "x"],
        ["OMP_STACKSIZE": "1E", "KMP_STACKSIZE": "-1"],
        ["KMP_AFFINITY": "nonsense", "KMP_BLOCKTIME": "", "KMP_SETTINGS": "1"],
        ["OMP_PLACES": "{", "OMP_PROC_BIND": "?"],
        ["KMP_DUPLICATE_LIB_OK": "", "KMP_REGISTER_LIB": "x"], ["OMP_DISPLAY_ENV": "verbose"],
    ])
    func readsNoVariables(_ environment: [String: String]) throws {
        let outcome = try Command.run(
            ["complete", "-m", try Models.path(), "-n", "12", "--no-echo", "-t", "8", "def f(x):"],
            environment: environment)
        try expectSame(outcome, "\(environment)")
    }

    private static let canBind: Bool = {
        let line = "bwrap --unshare-user --ro-bind / / --tmpfs /dev true 2>/dev/null"
        return (try? Command.shell(line).status == 0) ?? false
    }()

    @Test(
        .enabled(if: canBind, "needs bubblewrap"),
        arguments: ["--tmpfs /dev", "--dev /dev --tmpfs /dev/shm --remount-ro /dev/shm", "--dev /dev --tmpfs /proc"])
    func needsNoSharedMemory(_ mounts: String) throws {
        let line = "exec bwrap --unshare-user --bind / / \(mounts) " + Self.completion
        try expectSame(Command.shell(line, Models.path()), "\(mounts)")
    }

    /// The libraries of the server cannot do with fewer; they would end the process.
    @Test(
        .enabled(if: Nobody.canRun, Nobody.needed),
        .enabled(if: Command.has("phi-server"), "phi-server is not built; see SWIFT_PHI_SERVER"),
        arguments: [1, 2, 4, 6])
    func theServerSaysThatItNeedsThreads(_ limit: Int) throws {
        let line = #"exec prlimit --nproc=\#(limit) "$1" --port 0"#
        let outcome = try Nobody.run(line, Command.program("phi-server"))
        #expect(outcome.status == 1 && outcome.output.isEmpty)
        #expect(outcome.errorText.hasPrefix("phi-server: threads: the system allows "))
        #expect(outcome.errorText.filter(\.isNewline).count == 1, "\(outcome.errorText)")
    }

    @Test(.enabled(if: Nobody.canRun, Nobody.needed)) func makesDoWithFewerThreads() throws {
        let folder = try TemporaryFolder()
        chmod(folder.path, 0o755)
        let model = folder.at("m.phi")
        try FileManager.default.copyItem(atPath: Models.path(), toPath: model)
        chmod(model, 0o644)
        let outcome = try Nobody.run("exec prlimit --nproc=1 \(Self.completion)", model)
        #expect(outcome.status == 0, "\(outcome.errorText)")
        #expect(try outcome.output == expected())
        let lines = outcome.errorText.split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines.first == "phi: warning: the system allows 1 of 8 threads; results are the same")
    }
}
