import PhiFormat
import PhiJSON

/// A Python interpreter, and the files that it needs outside the system's folders.
struct Interpreter: Sendable {
    /// The path to run.
    let path: String
    /// Files and folders to make visible in a sandbox.
    let files: [String]

    /// The interpreter's description of itself. In a virtual environment it must be run by its own path, elsewhere by the real
    /// one, from which it finds its library.
    private struct Answer: Decodable {
        let path: String
        let files: [String]
    }

    private static let question = """
        import json, os, sys, sysconfig
        here = sys.executable if sys.prefix != sys.base_prefix else os.path.realpath(sys.executable)
        files = [here, os.path.realpath(sys.executable), *(p for p in sys.path if os.path.isabs(p))]
        files += [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), sysconfig.get_config_var("LIBDIR")]
        if sys.prefix != sys.base_prefix:
            files.append(sys.prefix)
        print(json.dumps({"path": here, "files": sorted({f for f in files if f and os.path.exists(f)})}))
        """

    /// Queries the interpreter of this name or path, outside the sandbox: it is the user's own. Throws ``FormatError`` when it
    /// cannot be run or is older than 3.8.
    init(_ name: String) throws {
        guard let program = ChildProcess.find(name) else { throw FormatError(name, "no such program") }
        let check = "import sys; sys.version_info >= (3, 8) or sys.exit(7)\n"
        let outcome = try ChildProcess.output(of: program, ["-s", "-B", "-c", check + Self.question])
        if outcome.status == 7 { throw FormatError(program, "is older than Python 3.8") }
        guard outcome.status == 0, let answer = try? JSONText.decode(Answer.self, from: outcome.bytes, of: program)
        else {
            throw FormatError(program, "is no Python interpreter")
        }
        path = answer.path
        files = answer.files
    }
}
