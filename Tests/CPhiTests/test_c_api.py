"""The C library, used as strangers use it: from where `make install` put it, $PHI_PREFIX."""
from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PREFIX = Path(os.environ["PHI_PREFIX"])
MODEL = ROOT / "Sources/CPhiModel/small.phi"
BAD_MODEL = ROOT / "Formats/refused/truncated-last-byte.phi"
LIBRARY = PREFIX / "lib/libphi.so"
HEADER = PREFIX / "include/phi.h"
PROMPT = "def count_vowels(text):\n    "


def tool(name: str) -> str:
    """The path of a program, or a skipped test that says so."""
    path = shutil.which(name)
    if path is None:
        print(f"\nSKIPPED: {name} is not here, so what it tests is not tested", file=sys.stderr, flush=True)
        raise unittest.SkipTest(f"{name} is not here")
    return path


def run(*command: str | Path, **more) -> subprocess.CompletedProcess:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=900, **more)


class APITest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def succeeds(self, *command: str | Path, **more) -> str:
        outcome = run(*command, **more)
        self.assertEqual(outcome.returncode, 0, f"{command}\n{outcome.stdout}\n{outcome.stderr}")
        return outcome.stdout

    def build(self, source: str, *flags: str) -> Path:
        """A program from a file of this folder, built with what pkg-config says."""
        paths = {**os.environ, "PKG_CONFIG_PATH": str(PREFIX / "lib/pkgconfig")}
        words = self.succeeds(tool("pkg-config"), "--cflags", "--libs", "phi", env=paths).split()
        program = self.folder / source.removesuffix(".c")
        self.succeeds(
            tool("cc"), "-std=c99", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-pedantic", "-Werror", "-g",
            HERE / source, "-o", program, *words, f"-Wl,-rpath,{PREFIX}/lib", "-pthread", *flags)
        return program


class Installed(APITest):
    def test_only_what_the_header_declares_is_exported(self) -> None:
        declared = set(re.findall(r"\b(phi_\w+)\(", re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)))
        symbols = self.succeeds(tool("nm"), "--dynamic", "--extern-only", "--defined-only", LIBRARY)
        exported = {line.split()[-1].split("@")[0] for line in symbols.splitlines()}
        self.assertEqual(exported, declared)
        self.assertGreater(len(exported), 20)

    def test_needs_no_swift_runtime(self) -> None:
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]", self.succeeds(tool("readelf"), "--dynamic", LIBRARY))
        self.assertFalse([name for name in needed if "swift" in name.lower() or "oundation" in name], needed)

    def test_versions_agree(self) -> None:
        text = HEADER.read_text()
        parts = [re.search(rf"#define PHI_VERSION_{part} (\d+)", text)[1] for part in ("MAJOR", "MINOR", "PATCH")]
        version = ".".join(parts)
        self.assertEqual(run(PREFIX / "bin/phi", "--version").stdout.split()[-1], version)
        paths = {**os.environ, "PKG_CONFIG_PATH": str(PREFIX / "lib/pkgconfig")}
        self.assertEqual(self.succeeds(tool("pkg-config"), "--modversion", "phi", env=paths).strip(), version)
        self.assertIn(f"[libphi.so.{parts[0]}]", self.succeeds(tool("readelf"), "--dynamic", LIBRARY))
        self.assertEqual(LIBRARY.resolve().name, f"libphi.so.{version}")
        self.assertEqual(python_package().version, version)

    def test_the_header_compiles_alone(self) -> None:
        (self.folder / "alone.c").write_text('#include "phi.h"\nint main(void) { return 0; }\n')
        shutil.copy(self.folder / "alone.c", self.folder / "alone.cpp")
        strict = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", f"-I{PREFIX}/include"]
        for compilers, source, standards in [
            (("cc", "clang"), "alone.c", ["c99", "c11", "c17"]),
            (("c++", "clang++"), "alone.cpp", ["c++98", "c++11", "c++20"]),
        ]:
            for compiler in compilers:
                if shutil.which(compiler) is None:
                    continue
                for standard in standards:
                    with self.subTest(compiler=compiler, standard=standard):
                        self.succeeds(compiler, f"-std={standard}", *strict, self.folder / source)
        tool("cc"), tool("c++")


class FromC(APITest):
    def test_completes_as_the_command_does(self) -> None:
        program = self.build("complete.c")
        expected = run(PREFIX / "bin/phi", "complete", "-m", MODEL, "--no-echo", "-n", "60", PROMPT)
        self.assertEqual(expected.returncode, 0)
        # The command ends its output with a line break of its own.
        self.assertEqual(self.succeeds(program, MODEL, PROMPT, "60"), expected.stdout.removesuffix("\n"))
        outcome = run(program, BAD_MODEL, PROMPT, "60")
        self.assertEqual(outcome.returncode, 1)
        self.assertRegex(outcome.stderr, r"\Acomplete: .*truncated-last-byte.phi: is truncated.*\n\Z")

    def test_every_function(self) -> None:
        self.assertEqual(self.succeeds(self.build("exercise.c", "-lm"), MODEL, BAD_MODEL), "all is well\n")

    def test_leaks_nothing(self) -> None:
        valgrind = tool("valgrind")
        report = self.folder / "report.xml"
        self.succeeds(
            valgrind, "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect",
            "--show-leak-kinds=definite,indirect", "--fair-sched=yes", "--xml=yes", f"--xml-file={report}",
            self.build("exercise.c", "-lm"), MODEL, BAD_MODEL)
        self.assertEqual(faults(report), [])


def faults(report: Path, within: str = "") -> list[str]:
    """Errors of a valgrind report whose stack has a frame in an object called `within`."""
    found = []
    for error in ElementTree.parse(report).iter("error"):
        objects = [frame.text or "" for frame in error.iter("obj")]
        if any(within in name for name in objects):
            found.append(ElementTree.tostring(error, encoding="unicode"))
    return found


def python_package():
    """The Python package, on the installed library."""
    os.environ["PHI_LIBRARY"] = str(LIBRARY)
    sys.path.insert(0, str(ROOT / "Tools/python"))
    try:
        import phi
    finally:
        sys.path.pop(0)
    return phi


class FromPython(APITest):
    """Tools/python/tests has the tests of the package itself."""

    def test_structures_are_those_of_the_header(self) -> None:
        phi = python_package()
        names = {
            "ModelInfo": "phi_model_info", "SessionOptions": "phi_session_options", "LogitBias": "phi_logit_bias",
            "GenerationOptions": "phi_generation_options", "TokenProbability": "phi_token_probability",
            "GenerationPiece": "phi_piece",
        }
        lines = []
        for python, c in names.items():
            structure = getattr(phi._library, python)
            lines.append(f"_Static_assert(sizeof({c}) == {ctypes.sizeof(structure)}, \"{c}\");")
            for name, *_ in structure._fields_:
                offset = getattr(structure, name).offset
                lines.append(f"_Static_assert(offsetof({c}, {name}) == {offset}, \"{c}.{name}\");")
        source = self.folder / "layout.c"
        source.write_text("#include <phi.h>\n" + "\n".join(lines) + "\n")
        self.succeeds(tool("cc"), "-std=c11", "-fsyntax-only", f"-I{PREFIX}/include", source)

    def test_leaks_nothing(self) -> None:
        """What Python itself leaves behind at its end is its own affair; nothing of it may come from the library."""
        valgrind = tool("valgrind")
        script = self.folder / "script.py"
        script.write_text(f"""
import phi
model = phi.Model({str(MODEL)!r})
for _ in range(3):
    session = phi.Session(model, threads=2)
    session.complete("def f(x):", maximum_tokens=4, log_probabilities=3, stop=["not there"], logit_bias={{3: 1}})
    session.fork().restore(session.save())
    session.score(model.tokenize("x = 1"))
    for call in (lambda: phi.Model({str(BAD_MODEL)!r}), lambda: session.append([-1])):
        try:
            call()
        except phi.Error:
            pass
""")
        report = self.folder / "report.xml"
        environment = {
            **os.environ, "PHI_LIBRARY": str(LIBRARY), "PYTHONPATH": str(ROOT / "Tools/python"),
            "PYTHONMALLOC": "malloc"}
        self.succeeds(
            valgrind, "--leak-check=full", "--show-leak-kinds=definite,indirect", "--fair-sched=yes", "--xml=yes",
            f"--xml-file={report}", "--num-callers=40", sys.executable, script, env=environment)
        self.assertEqual(faults(report, within="libphi"), [])


if __name__ == "__main__":
    unittest.main()
