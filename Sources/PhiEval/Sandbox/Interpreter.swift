import PhiFormat
import PhiJSON

/// A Python interpreter, and the files that it needs outside the system's folders.
struct Interpreter: Sendable {
    /// The path to run.
    let path: String
    /// Files and folders to make visible in a sandbox: real paths, none in another.
    let files: [String]
    /// The symbolic links by which they are reached, with their targets.
    let links: [String: String]

    /// The interpreter's description of itself. In a virtual environment it must be run by its own path, elsewhere by the real
    /// one, from which it finds its library.
    private struct Answer: Decodable {
        let path: String
        let files: [String]
        let links: [String: String]
    }

    /// Any part of a path may be a link: of the interpreter in a virtual environment, of its folder with uv, of a library.
    private static let question = """
        import json, os, sys, sysconfig

        links = {}

        def real(path):
            done, parts = "/", path.split("/")[::-1]
            while parts:
                part = parts.pop()
                here = os.path.normpath(os.path.join(done, part))
                if part not in ("", ".", "..") and os.path.islink(here):
                    target = links[here] = os.readlink(here)
                    parts += target.split("/")[::-1]
                    done = "/" if target.startswith("/") else done
                else:
                    done = here
            return done

        here = sys.executable if sys.prefix != sys.base_prefix else os.path.realpath(sys.executable)
        wanted = [here] + [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
        for prefix in {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}:
            wanted += [os.path.join(prefix, name) for name in ("lib", "lib64", "pyvenv.cfg")]
        wanted.append(sysconfig.get_config_var("LIBDIR"))
        files = sorted({real(path) for path in wanted if path and os.path.exists(path)})
        outer = [file for file in files if not any(file.startswith(other + "/") for other in files)]
        print(json.dumps({"path": here, "files": outer, "links": links}))
        """

    /// Queries the interpreter of this name or path, outside the sandbox but without the environment's settings: it is the
    /// user's own. Throws ``FormatError`` when it
    /// cannot be run or is older than 3.8.
    init(_ name: String) throws {
        guard let program = ChildProcess.find(name) else { throw FormatError(name, "no such program") }
        let check = "import sys; sys.version_info >= (3, 8) or sys.exit(7)\n"
        let outcome = try ChildProcess.output(of: program, ["-I", "-B", "-c", check + Self.question])
        if outcome.status == 7 { throw FormatError(program, "is older than Python 3.8") }
        guard outcome.status == 0, let answer = try? JSONText.decode(Answer.self, from: outcome.bytes, of: program)
        else {
            throw FormatError(program, "is no Python interpreter")
        }
        path = answer.path
        files = answer.files
        links = answer.links
    }
}
