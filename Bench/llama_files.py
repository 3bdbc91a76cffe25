"""llama.cpp's and ik_llama.cpp's files for `quantisation.py`: made by their tools, run by their engines."""
from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inputs import said, tool

if TYPE_CHECKING:
    import torch


def run(*command: object, stdin: bytes = b"", folder: Path | None = None) -> bytes:
    """Return what a command prints; end the program with a line that has the command and the last line of its output
    if it fails."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, input=stdin, capture_output=True, cwd=folder)
    except OSError as error:
        sys.exit(f"{words[0]}: cannot be run ({said(error)})")
    if done.returncode:
        last = next((text for text in (done.stderr.strip(), done.stdout.strip()) if text), b"no output")
        line = last.decode(errors="replace").splitlines()[-1].strip()[:300]
        sys.exit(f"{shlex.join(words)}: ended with {done.returncode}: {line}")
    return done.stdout


def built_from(build: Path) -> tuple[str, str]:
    """Return the source's folder and the compiler of a build folder; OSError that says what one that is none lacks."""
    wanted = "give the folder in which llama.cpp, or ik_llama.cpp, was built by CMake"
    cache = build / "CMakeCache.txt"
    if not cache.is_file():
        raise FileNotFoundError(f"{build}: has no CMakeCache.txt; {wanted}")
    text = cache.read_text(encoding="utf-8", errors="replace")
    source, compiler = (match[1] if match else "" for match in (
        re.search(rf"^{key}:\w+=(.*)$", text, re.M) for key in ("CMAKE_HOME_DIRECTORY", "CMAKE_C_COMPILER")))
    if not source or not Path(source, "include/llama.h").is_file():
        raise FileNotFoundError(f"{build}: has no source with include/llama.h; {wanted}")
    for name in ("llama-quantize", "llama-imatrix"):
        tool(str(build / "bin" / name), f"build its target {name}")
    return source, tool(compiler, f"{cache} names the compiler of the build")


class Llama:
    """A build of llama.cpp, or of ik_llama.cpp, with llama-quantize and llama-imatrix, and the program for its engine's
    logits."""

    def __init__(self, build: Path, scratch: Path) -> None:
        try:
            source, compiler = built_from(build)
        except OSError as error:
            sys.exit(said(error))
        scratch.mkdir(exist_ok=True)
        self.scratch, self.binaries, self.logits_tool = scratch, build / "bin", scratch / "llama_logits"
        is_ik = "llama_kv_cache_clear" in Path(source, "include/llama.h").read_text(encoding="utf-8")
        self.importance_file = scratch / ("imatrix.dat" if is_ik else "imatrix.gguf")
        libraries = [f for name in ("llama", "ggml", "ggml-base") for f in sorted(build.rglob(f"lib{name}.so"))[:1]]
        run(compiler, "-O2", *(["-DIK_LLAMA"] if is_ik else []), Path(__file__).with_name("llama_logits.c"), "-I",
            f"{source}/include", "-I", f"{source}/ggml/include", *libraries,
            *(f"-Wl,-rpath,{f.resolve().parent}" for f in libraries), "-o", self.logits_tool)

    def importance(self, whole: Path, text: Path, window: int, tokens: int) -> Path:
        """An importance matrix by the first `tokens` tokens of a text. ik_llama.cpp's tool writes llama.log where it is
        started."""
        tool, whole, text, out = (p.resolve() for p in (self.binaries / "llama-imatrix", whole, text,
                                                        self.importance_file))
        run(tool, "-m", whole, "-f", text, "-o", out, "-c", window, "-t", 2, "--chunks", tokens // window, "--no-ppl",
            folder=self.scratch)
        return self.importance_file

    def quantise(self, whole: Path, kind: str, importance: Path | None) -> Path:
        target = self.scratch / f"{kind}{'-imatrix' if importance else ''}.gguf"
        options = ["--imatrix", importance] if importance else []
        run(self.binaries / "llama-quantize", *options, whole, target, kind, 2)
        return target

    def logits(self, file: Path, windows: torch.Tensor, judged: int) -> Iterator[torch.Tensor]:
        """The logits of the `judged` positions before the last of each window."""
        import torch

        ids = self.scratch / "ids.bin"
        ids.write_bytes(windows.numpy().astype(np.int32).tobytes())
        with ids.open("rb") as stdin, subprocess.Popen(
                [self.logits_tool, file, str(windows.shape[1]), str(judged)], stdin=stdin,
                stdout=subprocess.PIPE) as engine:
            assert engine.stdout
            vocabulary = int.from_bytes(engine.stdout.read(4), sys.byteorder)
            for _ in windows:
                found = engine.stdout.read(4 * judged * vocabulary)
                if not found or len(found) < 4 * judged * vocabulary:
                    sys.exit(f"{self.logits_tool} {file}: ended before the last window")
                yield torch.from_numpy(np.frombuffer(found, np.float32).reshape(judged, vocabulary).copy())
