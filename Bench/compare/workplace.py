"""The working folder, in which peers are built and models converted, and steps that contenders share."""
from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from compare.processes import REPOSITORY, Failed, last_line


@dataclass(frozen=True)
class Workplace:
    folder: Path
    phi: Path  # the command that is measured
    threads: int
    isa: str  # "native", or "avx2" to restrict swift-phi and llama.cpp to it
    tokenizer: Path | None  # a folder with the published tokenizer; a generated one otherwise
    ik_llama: Path | None  # a build folder of ik_llama.cpp

    @property
    def checkpoint(self) -> Path:
        return self.folder / "phi-1"

    def make_checkpoint(self) -> None:
        """phi-1's shape with seeded random weights, bfloat16: nothing to download, and speed does not depend on the
        values."""
        if (self.checkpoint / "model.safetensors").exists():
            return
        command = [
            sys.executable, "-m", "phitools.seeded", "--shape", "phi-1", "--dtype", "bfloat16", "-o",
            str(self.checkpoint)]
        if self.tokenizer:
            command += ["--tokenizer", str(self.tokenizer)]
        step(command, environment={"PYTHONPATH": str(REPOSITORY / "Tools")})

    def prompt_of_five(self) -> str:
        """A text of five tokens in the checkpoint's tokenizer, which is also the peers'."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.checkpoint / "tokenizer.json"))
        text = "def f(x): return x"
        for end in range(len(text), 0, -1):
            if len(tokenizer.encode(text[:end], add_special_tokens=False).ids) == 5 and text[end - 1] != " ":
                return text[:end]
        raise Failed("no prompt of five tokens was found")


def step(command: list[str], environment: dict[str, str] | None = None, folder: Path | None = None) -> None:
    """Runs one command of the preparations; raises `Failed` with the last line of its output."""
    import os

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
    """A program such as cmake, from the environment that this runs in, otherwise from the system."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name
