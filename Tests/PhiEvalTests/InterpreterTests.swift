import Foundation
import PhiEval
import PhiTestSupport
import Testing

/// Interpreters as the usual tools install them; programs run in the sandbox with each.
@Suite struct InterpreterTests {
    /// Makes the folders of other tools out of the system's interpreter, in the current folder: a prefix with a copy of it and its
    /// library, a folder that is a link to another, and scripts that start it.
    private static let layouts = """
        set -e
        python=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')
        library=$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
        name=$(basename "$library")
        python3 -m venv --without-pip venv
        python3 -m venv --without-pip --copies copies
        mkdir -p conda/bin conda/lib
        cp "$python" "conda/bin/$name"
        ln -s "$name" conda/bin/python3
        mkdir "conda/lib/$name"
        for part in "$library"/*; do
            case "$part" in */*-packages | */test) ;; *) cp -rp "$part" "conda/lib/$name" ;; esac
        done
        mkdir -p uv/real/bin uv/real/lib uv/project/.venv/bin
        cp "$python" "uv/real/bin/$name"
        ln -s "$library" "uv/real/lib/$name"
        ln -s real uv/cpython
        ln -s "$PWD/uv/cpython/bin/$name" uv/project/.venv/bin/python
        ln -s python uv/project/.venv/bin/python3
        echo "home = $PWD/uv/cpython/bin" > uv/project/.venv/pyvenv.cfg
        ln -s uv/project linked
        mkdir -p pyenv/shims pyenv/versions/3/bin
        ln -s ../../../../conda/lib pyenv/versions/3/lib
        cp "$python" "pyenv/versions/3/bin/$name"
        printf '#!/bin/sh\\nexec "%s" "$@"\\n' "$PWD/pyenv/versions/3/bin/$name" > pyenv/shims/python3
        chmod +x pyenv/shims/python3
        """

    @Test(SandboxTests.needsSandbox) func runsInEveryLayout() throws {
        let folder = try TemporaryFolder()
        try run(Self.layouts, in: folder.path)
        for path in [
            "venv/bin/python", "venv/bin/python3", "copies/bin/python3", "conda/bin/python3",
            "uv/project/.venv/bin/python", "linked/.venv/bin/python3", "pyenv/shims/python3",
        ] {
            var limits = Sandbox.Limits()
            limits.seconds = 30
            let sandbox = try Sandbox(python: folder.at(path), limits: limits)
            let program = "import json, math, random, sys, _ctypes\nf = lambda: sys.prefix"
            let isEnvironment = path.contains("venv") || path.contains("copies")
            let check = isEnvironment ? "import sys\nassert f() == sys.prefix != sys.base_prefix" : "assert f()"
            #expect(try sandbox.run(program, check) == .passed, "\(path)")
            // Of the user's files it has the interpreter's only.
            try folder.write("secret", "secret")
            #expect(try sandbox.run("open('\(folder.at("secret"))')").name == "error", "\(path)")
        }
    }

    private func run(_ script: String, in folder: String) throws {
        let shell = Process()
        shell.executableURL = URL(fileURLWithPath: "/bin/sh")
        shell.arguments = ["-c", script]
        shell.currentDirectoryURL = URL(fileURLWithPath: folder)
        try shell.run()
        shell.waitUntilExit()
        try #require(shell.terminationStatus == 0)
    }
}
