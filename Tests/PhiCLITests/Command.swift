import Foundation
import PhiTestSupport
import Testing

/// The built `phi` as a shell would run it.
///
///     let outcome = try Command.run("info", "-m", path, "--json")
///     #expect(outcome.status == 0)
enum Command {
    /// The path of the command, or of another one: beside the test bundle, or where a release build puts it.
    static func program(_ name: String = "phi") throws -> String {
        try #require(path(of: name), "no \(name) beside the tests; make it with swift build -c release --build-tests")
    }

    /// Whether a program is there.
    static func has(_ name: String) -> Bool { path(of: name) != nil }

    private static func path(of name: String) -> String? {
        folders.map { $0.appendingPathComponent(name).path }.first { isProgram($0) }
    }

    private static let folders: [URL] = {
        let bundle = Bundle(for: Anchor.self).bundleURL
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return [
            bundle, bundle.deletingLastPathComponent(),
            URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent(),
            root.appendingPathComponent(".build/release"), root.appendingPathComponent(".build/debug"),
        ]
    }()

    private final class Anchor {}

    private static func isProgram(_ path: String) -> Bool {
        var isDirectory: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && !isDirectory.boolValue
            && FileManager.default.isExecutableFile(atPath: path)
    }

    /// Runs it to its end.
    static func run(
        _ arguments: String..., input: [UInt8] = [], environment: [String: String] = [:]
    ) throws -> Outcome {
        try run(arguments, input: input, environment: environment)
    }

    /// Runs it to its end.
    static func run(
        _ arguments: [String], input: [UInt8] = [], environment: [String: String] = [:]
    ) throws -> Outcome {
        try start(arguments, input: input, environment: environment).wait()
    }

    /// Starts it.
    static func start(
        _ arguments: [String], input: [UInt8] = [], environment: [String: String] = [:], terminal: Bool = false
    ) throws -> RunningProgram {
        try RunningProgram(
            program(), arguments, input: input, environment: environment, errorIsTerminal: terminal)
    }

    /// Starts a line of `sh` in which `$PHI` is the command and `$1`, `$2`... are `arguments`.
    static func startShell(_ line: String, _ arguments: [String], input: [UInt8] = []) throws -> RunningProgram {
        try RunningProgram(
            "/bin/sh", ["-c", line, "sh"] + arguments, input: input, environment: ["PHI": program()])
    }

    /// Runs such a line to its end.
    static func shell(_ line: String, _ arguments: String..., input: [UInt8] = []) throws -> Outcome {
        try startShell(line, arguments, input: input).wait()
    }

    /// As ``run(_:input:environment:)``, with 8 GiB of address space, which is plenty for everything here but not for
    /// lengths near 2^64.
    static func runConfined(_ arguments: [String], input: [UInt8] = []) throws -> Outcome {
        let line = #"ulimit -v 8388608 2>/dev/null; exec "$PHI" "$@""#
        return try startShell(line, arguments, input: input).wait()
    }

    /// The instruction sets that this machine has.
    static func instructionSets() throws -> [String] {
        struct Machine: Decodable { let available: [String] }
        return try run("info", "--cpu", "--json").json(Machine.self).available
    }
}
