"""The C library and its Python module, used as strangers use them: from where `make install` put them, $PHI_PREFIX."""
from __future__ import annotations

import ctypes
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
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
        self.assertEqual(phi().version, version)

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
        self.assertEqual(self.succeeds(self.build("exercise.c"), MODEL, BAD_MODEL), "all is well\n")

    def test_leaks_nothing(self) -> None:
        valgrind = tool("valgrind")
        report = self.folder / "report.xml"
        self.succeeds(
            valgrind, "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect",
            "--show-leak-kinds=definite,indirect", "--fair-sched=yes", "--xml=yes", f"--xml-file={report}",
            self.build("exercise.c"), MODEL, BAD_MODEL)
        self.assertEqual(faults(report), [])


def faults(report: Path, within: str = "") -> list[str]:
    """Errors of a valgrind report whose stack has a frame in an object called `within`."""
    found = []
    for error in ElementTree.parse(report).iter("error"):
        objects = [frame.text or "" for frame in error.iter("obj")]
        if any(within in name for name in objects):
            found.append(ElementTree.tostring(error, encoding="unicode"))
    return found


def phi():
    """The Python module, on the installed library."""
    os.environ["PHI_LIBRARY"] = str(LIBRARY)
    sys.path.insert(0, str(ROOT / "Tools"))
    try:
        import phi as module
    finally:
        sys.path.pop(0)
    return module


class FromPython(APITest):
    @classmethod
    def setUpClass(cls) -> None:
        cls.phi = phi()
        cls.model = cls.phi.Model(MODEL)

    def session(self, **options):
        return self.phi.Session(self.model, threads=1, **options)

    def test_structures_are_those_of_the_header(self) -> None:
        names = {
            "_ModelInfo": "phi_model_info", "_SessionOptions": "phi_session_options", "_LogitBias": "phi_logit_bias",
            "_GenerationOptions": "phi_generation_options", "_TokenProbability": "phi_token_probability",
            "_Piece": "phi_piece",
        }
        lines = []
        for python, c in names.items():
            structure = getattr(self.phi, python)
            lines.append(f"_Static_assert(sizeof({c}) == {ctypes.sizeof(structure)}, \"{c}\");")
            for name, *_ in structure._fields_:
                offset = getattr(structure, name).offset
                lines.append(f"_Static_assert(offsetof({c}, {name}) == {offset}, \"{c}.{name}\");")
        source = self.folder / "layout.c"
        source.write_text("#include <phi.h>\n" + "\n".join(lines) + "\n")
        self.succeeds(tool("cc"), "-std=c11", "-fsyntax-only", f"-I{PREFIX}/include", source)

    def test_completes_as_the_command_does(self) -> None:
        options = ["-n", "60", "--temperature", "0.8", "--top-p", "0.9", "--seed", "7", "--stop", "\n\n"]
        expected = run(PREFIX / "bin/phi", "complete", "-m", MODEL, "--no-echo", *options, PROMPT).stdout
        made = self.session().complete(PROMPT, maximum_tokens=60, temperature=0.8, top_p=0.9, seed=7, stop=["\n\n"])
        self.assertEqual(made, expected.removesuffix("\n"))

    def test_pieces(self) -> None:
        session = self.session()
        pieces = list(session.generate(PROMPT, maximum_tokens=20, log_probabilities=2))
        self.assertEqual("".join(piece.text for piece in pieces), self.session().complete(PROMPT, maximum_tokens=20))
        self.assertTrue(all(piece.stop_reason is None for piece in pieces[:-1]))
        self.assertIsNotNone(pieces[-1].stop_reason)
        for piece in pieces:
            self.assertEqual(piece.alternatives[0], (piece.token, piece.log_probability))
        # Log-probabilities are the log-softmax of the logits, and those of a scored text are the same.
        prompt = self.model.tokenize(PROMPT, special_tokens=True)
        check = self.session()
        check.append(prompt)
        logits = list(check.logits())
        top = max(logits)
        expected = logits[pieces[0].token] - top - math.log(sum(math.exp(value - top) for value in logits))
        self.assertAlmostEqual(pieces[0].log_probability, expected, places=9)
        scored = self.session().score(prompt + [piece.token for piece in pieces])
        self.assertTrue(math.isnan(scored[0]))
        self.assertEqual(scored[len(prompt):], [piece.log_probability for piece in pieces])

    def test_ends_of_text(self) -> None:
        self.assertEqual(self.model.ends_of_text, [self.model.end_of_text])
        ended = list(self.session().generate(PROMPT, maximum_tokens=120))
        self.assertEqual(ended[-1].stop_reason, "end_of_text")
        whole = list(self.session().generate(PROMPT, maximum_tokens=120, ignore_end_of_text=True))
        self.assertEqual([piece.token for piece in whole[: len(ended)]], [piece.token for piece in ended])
        self.assertEqual((len(whole), whole[-1].stop_reason), (120, "max_tokens"))

    def test_logits_are_those_of_the_command(self) -> None:
        ids = self.model.tokenize(PROMPT)
        (self.folder / "ids.json").write_text(str(ids))
        out = self.folder / "out.npy"
        self.succeeds(PREFIX / "bin/phi", "logits", "-m", MODEL, "--ids", self.folder / "ids.json", "-o", out)
        session = self.session()
        session.append(ids)
        row = bytes(session.logits())
        self.assertEqual(len(row), 4 * self.model.vocabulary)
        self.assertEqual(out.read_bytes()[-len(row):], row)

    def test_prefixes(self) -> None:
        ids = self.model.tokenize(PROMPT * 3)
        session = self.session()
        session.append(ids)
        truth = bytes(session.logits())
        saved = session.save(len(ids) - 1)
        restored = self.session(context=len(ids))
        restored.restore(saved)
        fork = session.fork(len(ids) - 1)
        for other in (restored, fork):
            self.assertEqual(other.tokens, ids[:-1])
            other.append(ids[-1:])
            self.assertEqual(bytes(other.logits()), truth)
        self.assertEqual(fork.complete(PROMPT, maximum_tokens=8), self.session().complete(PROMPT, maximum_tokens=8))
        with self.assertRaisesRegex(self.phi.PhiError, "truncated or altered"):
            restored.restore(saved[:-1])

    def test_text(self) -> None:
        for text in ["", "def f(x):\n\treturn x", "naïve ☃ \0 end"]:
            self.assertEqual(self.model.detokenize(self.model.tokenize(text)).decode(), text)
        self.assertEqual(self.model.tokenize("<|endoftext|>", special_tokens=True), [self.model.end_of_text])

    def test_errors(self) -> None:
        phi = self.phi
        for message, call in [
            ("/no/such.phi", lambda: phi.Model("/no/such.phi")),
            ("truncated", lambda: phi.Model(BAD_MODEL)),
            ("context", lambda: self.session(context=1 << 20)),
            ("cache", lambda: self.session(cache="f8")),
            ("not a token", lambda: self.session().append([self.model.vocabulary])),
            ("not a token", lambda: self.session().append([1 << 40])),
            ("do not fit", lambda: self.session(context=4).append([1] * 5)),
            ("no logits", lambda: self.session().logits()),
            ("temperature", lambda: self.session().complete("x", temperature=-1)),
            ("zero byte", lambda: self.session().complete("x", stop=["a\0b"])),
        ]:
            with self.subTest(message), self.assertRaisesRegex(phi.PhiError, message):
                call()
        session = self.session()
        session.close()
        session.close()
        with self.assertRaises(phi.PhiError):
            session.append([1])

    def test_another_thread_cancels(self) -> None:
        session = self.session()
        generation = session.generate("x = 1\n", logit_bias={self.model.end_of_text: -math.inf}, temperature=1)
        started = threading.Event()

        def cancel() -> None:
            started.wait()
            generation.cancel()

        thread = threading.Thread(target=cancel)
        thread.start()
        with self.assertRaises(self.phi.Cancelled):
            for _ in generation:
                started.set()
                thread.join()
        self.assertLess(len(session.tokens), self.model.context)

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
        except phi.PhiError:
            pass
""")
        report = self.folder / "report.xml"
        environment = {
            **os.environ, "PHI_LIBRARY": str(LIBRARY), "PYTHONPATH": str(ROOT / "Tools"), "PYTHONMALLOC": "malloc"}
        self.succeeds(
            valgrind, "--leak-check=full", "--show-leak-kinds=definite,indirect", "--fair-sched=yes", "--xml=yes",
            f"--xml-file={report}", "--num-callers=40", sys.executable, script, env=environment)
        self.assertEqual(faults(report, within="libphi"), [])


if __name__ == "__main__":
    unittest.main()
