"""llama.cpp from the source distribution of llama-cpp-python, and its faster fork ik_llama.cpp if a build is given."""
from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

from compare.cases import FIRST_TOKEN, MEMORY, Case
from compare.peers import Measured
from compare.processes import Failed, run, shown
from compare.workspace import Workspace, step, tool

VERSION = "0.3.36"
PROGRAMS = ["llama-bench", "llama-completion", "llama-quantize"]
MEASURED = PROGRAMS[:2]
# Build options of llama.cpp with --isa avx2.
AVX2 = ["-DGGML_NATIVE=OFF", "-DGGML_AVX=ON", "-DGGML_AVX2=ON", "-DGGML_FMA=ON", "-DGGML_F16C=ON", "-DGGML_BMI2=ON"]
KV_BYTES_PER_POSITION = 24 * 2 * 2048 * 2  # phi-1: layers, keys and values, width, f16


class LlamaCpp:
    peer = "llama.cpp"

    def __init__(self, weights: str, bits: int) -> None:
        self.weights = weights
        self.label = f"llama.cpp {weights}"
        self.bits = bits

    def prepare(self, workspace: Workspace) -> str:
        workspace.make_checkpoint()
        build(workspace)
        make_gguf(workspace, self.weights)
        return f"llama-cpp-python {VERSION}, {'native' if workspace.isa == 'native' else 'AVX2 only'}, {compiler()[0]}"

    def can(self, case: Case) -> bool:
        return True

    def programs(self, workspace: Workspace) -> Path:
        return build_folder(workspace) / "bin"

    def measure(self, workspace: Workspace, cases: list[Case]) -> Iterator[Measured]:
        model, threads = str(gguf(workspace, self.weights)), str(workspace.threads)
        for case in cases:
            if case.name == FIRST_TOKEN:
                # Without warm-up, as the time to the first token would include it.
                command = [
                    str(self.programs(workspace) / "llama-completion"), "-m", model, "-t", threads, "-n", "1",
                    "-no-cnv", "--no-display-prompt", "--no-warmup", "--temp", "0", "-p", workspace.prompt_of_five()]
                run(command)
                yield Measured(case, run(command).seconds, shown(command), {})
                continue
            command = [
                str(self.programs(workspace) / "llama-bench"), "-m", model, *case.options, "-t", threads, "-o", "json",
                *self.extra()]
            finished = run(command)
            row = parse(finished.output)
            if case.name == MEMORY:
                if finished.anonymous_bytes is None:
                    raise Failed("the system does not report a process's memory")
                value = (
                    finished.anonymous_bytes - positions(row["n_prompt"] + row["n_gen"]) * KV_BYTES_PER_POSITION) / 1e6
            else:
                value = row["avg_ts"]
            yield Measured(case, value, shown(command), {"cpu_info": row.get("cpu_info")})

    def extra(self) -> list[str]:
        return []


class IkLlamaCpp(LlamaCpp):
    """The fork with the same files; `-rtr 1` repacks weights when loading, which is fastest."""

    peer = "ik_llama.cpp"

    def __init__(self, weights: str, bits: int) -> None:
        super().__init__(weights, bits)
        self.label = f"ik_llama.cpp {weights}"

    def prepare(self, workspace: Workspace) -> str:
        if workspace.ik_llama is None:
            raise Failed("not built; --ik-llama names a build folder")
        if not (self.programs(workspace) / "llama-bench").exists():
            raise Failed(f"{self.programs(workspace)}: has no llama-bench")
        super().prepare(workspace)
        return workspace.by_default(f"build at {workspace.ik_llama}")

    def can(self, case: Case) -> bool:
        return case.name not in (FIRST_TOKEN, MEMORY) and case.depth == 0

    def programs(self, workspace: Workspace) -> Path:
        return (workspace.ik_llama or Path()) / "bin"

    def extra(self) -> list[str]:
        return ["-rtr", "1"]


def parse(output: str) -> dict[str, object]:
    """Return the single row of `llama-bench -o json`; raise `Failed` for any other output."""
    try:
        rows = json.loads(output)
        (row,) = rows
        if not row["avg_ts"] > 0:
            raise ValueError
        return row
    except (ValueError, KeyError, TypeError):
        raise Failed("llama-bench's JSON was not one row with a rate") from None


def positions(tokens: int) -> int:
    """Return the number of positions allocated by llama-bench, a multiple of 256."""
    return (tokens + 255) // 256 * 256


def compiler() -> tuple[str, list[str]]:
    """Return name and CMake options of the compiler: Clang if available, as for swift-phi. Its code was 1.7 times as
    fast as GCC 12's, which failed with an illegal instruction on a CPU with AMX. Swift's Clang has no OpenMP, so ggml
    uses its own threads."""
    clang = shutil.which("clang"), shutil.which("clang++")
    if None in clang:
        return "the system's compiler", []
    return "Clang", [f"-DCMAKE_C_COMPILER={clang[0]}", f"-DCMAKE_CXX_COMPILER={clang[1]}", "-DGGML_OPENMP=OFF"]


def build_folder(workspace: Workspace) -> Path:
    words = ["build", *(["clang"] if compiler()[1] else []), *([] if workspace.isa == "native" else [workspace.isa])]
    return workspace.folder / "llama.cpp" / "-".join(words)


def gguf(workspace: Workspace, weights: str) -> Path:
    return workspace.folder / f"phi1-{weights.lower()}.gguf"


def build(workspace: Workspace) -> None:
    """Build llama.cpp in release mode for the native CPU or AVX2."""
    folder, programs = build_folder(workspace), build_folder(workspace) / "bin"
    if all((programs / name).exists() for name in MEASURED):
        return
    source = workspace.folder / "llama.cpp"
    if not (source / "CMakeLists.txt").exists():
        unpack(workspace)
    flags = ["-DGGML_NATIVE=ON"] if workspace.isa == "native" else AVX2
    step([
        tool("cmake"), "-S", str(source), "-B", str(folder), "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}",
        "-DCMAKE_BUILD_TYPE=Release", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF",
        *flags, *compiler()[1]])
    step([tool("cmake"), "--build", str(folder), "-j", str(os.cpu_count() or 2), "--target", *PROGRAMS])


def unpack(workspace: Workspace) -> None:
    sdist = workspace.folder / "sdist"
    archive = sdist / f"llama_cpp_python-{VERSION}.tar.gz"
    if not archive.exists():
        step([
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "llama-cpp-python", "-d",
            str(sdist), f"llama-cpp-python=={VERSION}"])
    top = f"llama_cpp_python-{VERSION}/vendor/llama.cpp/"
    with tarfile.open(archive) as files:
        for member in files:
            if member.name.startswith(top):
                member.name = member.name[len(top):]
                files.extract(member, workspace.folder / "llama.cpp", filter="data")


def make_gguf(workspace: Workspace, weights: str) -> None:
    if gguf(workspace, weights).exists():
        return
    whole = gguf(workspace, "bf16")
    if not whole.exists():
        source = workspace.folder / "llama.cpp"
        step([sys.executable, "-m", "compare.gguf", str(source), str(workspace.checkpoint), str(whole)])
    quantize = build_folder(workspace) / "bin" / "llama-quantize"
    new = whole.with_name("new.gguf")
    step([str(quantize), str(whole), str(new), weights, str(workspace.threads)])
    new.replace(gguf(workspace, weights))
