"""The build folder for peers and models, which git ignores, and preparation steps shared by several contenders."""
from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from compare.processes import REPOSITORY, Failed, last_line


@dataclass(frozen=True)
class Workspace:
    folder: Path
    phi: Path  # the command to measure
    threads: int
    isa: str  # "native", or "avx2" to limit swift-phi and llama.cpp to AVX2
    tokenizer: Path | None  # a folder with the published tokenizer, or None for a generated one
    ik_llama: Path | None  # a build folder of ik_llama.cpp

    @property
    def checkpoint(self) -> Path:
        return self.folder / "phi-1"

    def by_default(self, command: str) -> str:
        """Return a command with its programs and files at their default places, wherever they are on this machine."""
        return command.replace(f"{self.phi} ", ".build/release/phi ").replace(f"{self.folder}/", ".build/bench/")

    def make_checkpoint(self) -> None:
        """Write a bfloat16 checkpoint of phi-1's shape with seeded random weights, because speed does not depend on
        their values and nothing needs to be downloaded."""
        if (self.checkpoint / "model.safetensors").exists():
            return
        command = [
            sys.executable, "-m", "phitools.seeded", "--shape", "phi-1", "--dtype", "bfloat16", "-o",
            str(self.checkpoint)]
        if self.tokenizer:
            command += ["--tokenizer", str(self.tokenizer)]
        step(command, environment={"PYTHONPATH": str(REPOSITORY / "Tools")})

    def forget_models(self) -> None:
        """Take the models out of the system's cache, so that all are read as after a restart: how fast mapped files are
        depends on the size of the cache's pages, and that on how a file got there. Nothing where the system can't."""
        for path in self.folder.rglob("*") if hasattr(os, "posix_fadvise") else ():
            if path.is_file() and path.stat().st_size >= 1 << 26:
                with path.open("rb") as file:
                    os.fsync(file.fileno())
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def prompt_of_five(self) -> str:
        """Return a text of five tokens by the checkpoint's tokenizer, which the peers use too."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.checkpoint / "tokenizer.json"))
        text = "def f(x): return x"
        for end in range(len(text), 0, -1):
            if len(tokenizer.encode(text[:end], add_special_tokens=False).ids) == 5 and text[end - 1] != " ":
                return text[:end]
        raise Failed("no prompt of five tokens was found")


def step(command: list[str], environment: dict[str, str] | None = None, folder: Path | None = None) -> None:
    """Run a command of the preparations; raise `Failed` with the last line of its output."""
    print("+ " + " ".join(command), file=sys.stderr, flush=True)
    try:
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
    except OSError as error:
        raise Failed(f"{command[0]}: {error.strerror}") from None
    if done.returncode != 0:
        raise Failed(f"{' '.join(command[:3])} ended with {done.returncode}: {last_line(done.stdout)}")


def tool(name: str) -> str:
    """Return the path of a program, such as cmake, from this Python environment if it has one, else the system's."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name
