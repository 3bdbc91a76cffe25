"""The built `phi`, run as a user does, with a home and a cache of its own."""
from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from hub import COMMIT, Hub

# Shells ignore the signal in background jobs, and programs that are started from them inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "Tests/PhiCheckpointTests/Fixtures"
PHI = Path(os.environ.get("PHI", ROOT / ".build/release/phi"))
ID = "owner/model"


def fixture(name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((FIXTURES / name).iterdir())}


MODEL = fixture("current-safetensors-f32")
SHARDED = fixture("first-port-safetensors-split-bf16")
ADAPTER = fixture("adapters/attention")
WEIGHTS = "model.safetensors"
# What a repository has besides, and nobody needs.
OTHERS = {
    "README.md": b"# phi", "model.gguf": b"GGUF", "tf_model.h5": b"h5", "flax_model.msgpack": b"m",
    "original/model.safetensors": b"", "pytorch_model.bin": b"PK", "modeling_phi.py": b"import os",
    ".gitattributes": b""}


def tool(name: str) -> str:
    """The path of a program, or a skipped test that says so."""
    path = shutil.which(name)
    if path is None:
        raise unittest.SkipTest(f"no {name}")
    return path


class HubTest(unittest.TestCase):
    """A test with a hub, and a folder in which the cache is."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.home = self.folder / "home of hf"
        self.entry = self.home / "hub/models--owner--model"
        self.snapshot = self.entry / "snapshots" / COMMIT

    def hub(self, files: dict[str, bytes] | None = None, **options) -> Hub:
        hub = Hub({ID: dict(MODEL if files is None else files)}, **options)
        self.addCleanup(hub.close)
        return hub

    def environment(self, hub: Hub | None, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH") if name in os.environ}
        own = {"HOME": str(self.folder), "HF_HOME": str(self.home), "NO_PROXY": "*"}
        return kept | own | ({"HF_ENDPOINT": hub.address} if hub else {}) | more

    def command(self, *arguments: str, model: str = ID) -> list[str]:
        return [str(PHI), "convert", model, "-o", str(self.folder / "out.phi"), "--force", "--type", "f32", *arguments]

    def start_phi(self, hub: Hub, command: list[str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command or self.command(), env=self.environment(hub), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True)

    def run_phi(
        self, hub: Hub | None, *arguments: str, model: str = ID, prefix: tuple[str, ...] = (), preexec=None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*prefix, *self.command(*arguments, model=model)], env=self.environment(hub, **more), cwd=self.folder,
            capture_output=True, text=True, timeout=120, preexec_fn=preexec)

    def assert_converts(
        self, hub: Hub | None, *arguments: str, fixture: str = "current-safetensors-f32", **more
    ) -> str:
        """Runs phi, compares the file with that of the fixture's directory, and returns what phi says."""
        output = self.folder / "out.phi"
        output.unlink(missing_ok=True)
        result = self.run_phi(hub, *arguments, **more)
        self.assertEqual(result.returncode, 0, result.stderr)
        converted = output.read_bytes()
        local = subprocess.run(
            self.command(model=str(FIXTURES / fixture)), env=self.environment(None), capture_output=True, text=True)
        self.assertEqual(local.returncode, 0, local.stderr)
        self.assertEqual(converted, output.read_bytes())
        return result.stderr

    def assert_refuses(self, hub: Hub | None, *parts: str, notices: int = 0, arguments=(), **more) -> str:
        """Runs phi and expects one line of error, after so many lines about repeated requests, and no file."""
        result = self.run_phi(hub, *arguments, **more)
        lines = result.stderr.splitlines()
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertFalse((self.folder / "out.phi").exists())
        others = [line for line in lines if not line.startswith("phi: downloading ")]
        self.assertEqual(len(others), notices + 1, result.stderr)
        for part in parts:
            self.assertIn(part, lines[-1])
        return lines[-1]

    def in_sandbox(self, *options: str) -> tuple[str, ...]:
        prefix = (tool("bwrap"), "--dev-bind", "/", "/", *options)
        probe = subprocess.run([*prefix, "true"], capture_output=True, text=True)
        if probe.returncode:
            self.skipTest("bwrap does not work here: " + probe.stderr.strip())
        return prefix

    def blobs(self) -> dict[str, bytes]:
        folder = self.entry / "blobs"
        return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}

    def incomplete(self) -> list[bytes]:
        return [content for name, content in self.blobs().items() if name.endswith(".incomplete")]
