"""The packages, used where there is no Swift: in the machine's own system without it or, with $PHI_ROOT, in a root file
system that may be changed, to which the Debian packages are then installed.
"""
from __future__ import annotations

import json
import os
import shutil
import tarfile
import tempfile
import unittest
from pathlib import Path

from roots import BASE, ROOT, Sandbox, fresh, package

PROMPT = "def count_vowels(text):"
CHECKPOINT = "/repository/Tests/PhiCheckpointTests/Fixtures/current-safetensors-f32"


def dockerfile(instruction: str) -> list[str]:
    """The arguments of an instruction that has a JSON array, in the Dockerfile's last stage."""
    stage = (ROOT / "Tools/deploy/Dockerfile").read_text().replace("\\\n", " ").rsplit("\nFROM ", 1)[1]
    line = next(line for line in stage.split("\n") if line.startswith(instruction))
    return json.loads(line[line.index("["):])


class Trial(unittest.TestCase):
    sandbox: Sandbox
    #: Folders of programs, each with a colon.
    path = ""

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        os.chmod(folder.name, 0o755)
        cls.sandbox = Sandbox(Path(folder.name))

    def succeeds(self, *command: str, **more) -> str:
        return self.sandbox.run(*command, path=self.path, **more).stdout

    def converts_and_completes(self) -> None:
        self.assertRegex(self.succeeds("phi", "--version"), r"\A\d+\.\d+\.\d+\n\Z")
        self.succeeds("phi", "convert", CHECKPOINT, "-o", "/scratch/small.phi", "--force")
        self.succeeds("phi", "verify", "/scratch/small.phi")
        self.assertIn("x", self.succeeds("phi", "complete", "-m", "/scratch/small.phi", "-n", "1", "x"))
        self.assertIn(PROMPT, self.succeeds("phi", "complete", "-n", "4", PROMPT))

    def serves(self, **more) -> None:
        """As the Dockerfile says: its entry point, with an option of one's own, and its health check."""
        body = json.dumps({"prompt": PROMPT, "max_tokens": 8, "temperature": 0})
        answer = self.succeeds(
            "bash", "/repository/Tests/PackageTests/serve.sh", body, *dockerfile("HEALTHCHECK"), "--",
            *dockerfile("ENTRYPOINT"), "--parallel", "2", **more)
        self.assertRegex(answer, r"\AHTTP/1\.[01] 200 ")
        self.assertEqual(
            json.loads(answer.split("\n\n", 1)[1])["choices"][0]["text"] + "\n",
            self.succeeds("phi", "complete", "--no-echo", "-n", "8", PROMPT))

    def embeds(self, pkg_config: str, flags: str) -> None:
        """Builds the C program of the C API's tests and compares it with the command."""
        for program in ("cc", "pkg-config"):
            if not self.sandbox.has(program):
                self.skipTest(f"no {program} in the root file system")
        self.succeeds("sh", "-c", f"{pkg_config} cc -o /scratch/complete /repository/Tests/CPhiTests/complete.c "
                      f"$({pkg_config} pkg-config --cflags --libs phi) {flags}")
        model = "/repository/Sources/CPhiModel/small.phi"
        self.assertEqual(
            self.succeeds("/scratch/complete", model, PROMPT, "8") + "\n",
            self.succeeds("phi", "complete", "-m", model, "--no-echo", "-n", "8", PROMPT))


class Tarball(Trial):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        with tarfile.open(package("swift-phi-*.tar.gz")) as archive:
            archive.extractall(cls.sandbox.scratch, filter="tar")
        unpacked = next(cls.sandbox.scratch.glob("swift-phi-*"))
        # Relocatable: any place will do.
        unpacked.rename(cls.sandbox.scratch / "any-place")
        cls.prefix = "/scratch/any-place"
        cls.path = f"{cls.prefix}/bin:"

    def test_converts_and_completes(self) -> None:
        self.converts_and_completes()

    def test_completes_without_proc(self) -> None:
        self.assertIn(PROMPT, self.succeeds("phi", "complete", "-n", "4", PROMPT, proc=False))

    def test_serves(self) -> None:
        self.serves()

    def test_serves_as_the_user_of_the_image(self) -> None:
        stage = (ROOT / "Tools/deploy/Dockerfile").read_text()
        self.assertIn("USER 65532:65532", stage)
        self.assertIn("runAsUser: 65532", (ROOT / "Tools/deploy/kubernetes.yaml").read_text())
        self.serves(user=65532)

    def test_embeds(self) -> None:
        self.embeds(f"PKG_CONFIG_PATH={self.prefix}/lib/pkgconfig", f"-Wl,-rpath,{self.prefix}/lib")

    def test_completions(self) -> None:
        """Bash completes files where an option wants one."""
        fresh(self.sandbox.scratch / "files/folder")
        (self.sandbox.scratch / "files/model-1.phi").touch()
        script = f"""
            compopt() {{ :; }}
            source {self.prefix}/share/bash-completion/completions/phi
            cd /scratch/files
            complete_line() {{
                COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=0 COMPREPLY=()
                COMP_POINT=${{#COMP_LINE}}
                _phi "$1" "${{!#}}" "${{@: -2:1}}"
                printf '%s\\n' "${{COMPREPLY[@]}}"
            }}
            complete_line phi complete -m mod
            complete_line phi verify mod
            complete_line phi convert x --adapter fol
            complete_line phi comp
        """
        self.assertEqual(
            self.succeeds("bash", "-c", script).split(), ["model-1.phi", "model-1.phi", "folder", "complete"])


class Wheel(Trial):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if cls.sandbox.run(cls.sandbox.python, "-c", "import ensurepip", check=False).returncode != 0:
            raise unittest.SkipTest("no Python with ensurepip in the root file system")
        cls.sandbox.run(cls.sandbox.python, "-m", "venv", "/scratch/env")
        cls.path = "/scratch/env/bin:"
        cls.before = cls.files()
        cls.sandbox.run("/scratch/env/bin/pip", "install", "--no-index", f"/packages/{package('*.whl').name}")

    @classmethod
    def files(cls) -> set[str]:
        """All files of the environment but compiled ones."""
        paths = (cls.sandbox.scratch / "env").rglob("*")
        return {str(path) for path in paths if path.suffix != ".pyc" and path.name != "__pycache__"}

    def test_1_is_used(self) -> None:
        self.converts_and_completes()
        version = self.succeeds("python", "-c", "import phi; print(phi.__version__)")
        self.assertEqual(version, self.succeeds("phi", "--version"))

    def test_2_passes_its_tests(self) -> None:
        self.succeeds("python", "-B", "-m", "unittest", "discover", "-s", "/repository/Tools/python/tests")

    def test_3_is_removed_without_a_trace(self) -> None:
        self.succeeds("pip", "uninstall", "--yes", "swift-phi")
        self.assertEqual(self.files() - self.before, set())


@unittest.skipIf(BASE is None, "needs a root file system that may be changed: make release-check")
class Debs(Trial):
    NAMES = ("libphi0", "libphi-dev", "swift-phi", "swift-phi-server")

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.before = cls.state()
        debs = [f"/packages/{package(name + '_*.deb').name}" for name in cls.NAMES]
        cls.sandbox.run("apt-get", "install", "-y", "--no-install-recommends", *debs)

    @classmethod
    def state(cls) -> dict[str, tuple]:
        """Every file, with its mode and size, but not what the package manager and the loader keep for themselves."""
        left_out = (
            "var/lib/dpkg", "var/lib/apt", "var/cache", "var/log", "etc/ld.so.cache", "scratch", "repository",
            "packages", "tmp", "run", "proc", "dev")
        state = {}
        for folder, folders, files in os.walk(BASE):
            relative = Path(folder).relative_to(BASE)
            folders[:] = [name for name in folders if str(relative / name) not in left_out]
            for name in folders + files:
                path = Path(folder) / name
                if str(relative / name) not in left_out and path.suffix != ".pyc":
                    facts = path.lstat()
                    state[str(relative / name)] = (facts.st_mode, 0 if path.is_dir() else facts.st_size)
        return state

    def test_1_are_used(self) -> None:
        self.converts_and_completes()
        self.serves()
        self.embeds("", "")

    def test_2_unit(self) -> None:
        unit = (BASE / "usr/lib/systemd/system/phi-server@.service").read_text()
        self.assertIn("ExecStart=/usr/bin/phi-server ", unit)
        if self.sandbox.has("systemd-analyze"):
            self.succeeds("systemd-analyze", "verify", "phi-server@8080.service")

    def test_3_are_removed_without_a_trace(self) -> None:
        self.sandbox.run("apt-get", "purge", "-y", *self.NAMES)
        after = self.state()
        changed = sorted(path for path in after.keys() | self.before.keys() if after.get(path) != self.before.get(path))
        self.assertEqual(changed, [])
        self.assertFalse(shutil.which("phi", path=str(BASE / "usr/bin")))


if __name__ == "__main__":
    unittest.main()
