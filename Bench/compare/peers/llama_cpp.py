"""llama.cpp as it comes in the source distribution of llama-cpp-python, and ik_llama.cpp, its faster fork, where there
is a build."""
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
from compare.workplace import Workplace, step, tool

VERSION = "0.3.36"
PROGRAMS = ["llama-bench", "llama-completion", "llama-quantize"]
MEASURED = PROGRAMS[:2]
# What differs from "native" when both sides are restricted to AVX2.
AVX2 = ["-DGGML_NATIVE=OFF", "-DGGML_AVX=ON", "-DGGML_AVX2=ON", "-DGGML_FMA=ON", "-DGGML_F16C=ON", "-DGGML_BMI2=ON"]
KV_BYTES_PER_POSITION = 24 * 2 * 2048 * 2  # phi-1: layers, keys and values, width, f16


class LlamaCpp:
    peer = "llama.cpp"

    def __init__(self, weights: str, bits: int) -> None:
        self.weights = weights
        self.label = f"llama.cpp {weights}"
        self.bits = bits

    def prepare(self, place: Workplace) -> str:
        place.make_checkpoint()
        build(place)
        make_gguf(place, self.weights)
        return f"llama-cpp-python {VERSION}, {'native' if place.isa == 'native' else 'AVX2 only'}, {compiler()[0]}"

    def can(self, case: Case) -> bool:
        return True

    def programs(self, place: Workplace) -> Path:
        return build_folder(place) / "bin"

    def measure(self, place: Workplace, cases: list[Case]) -> Iterator[Measured]:
        model, threads = str(gguf(place, self.weights)), str(place.threads)
        for case in cases:
            if case.name == FIRST_TOKEN:
                # Without its warm-up, which a user of the command would wait for.
                command = [
                    str(self.programs(place) / "llama-completion"), "-m", model, "-t", threads, "-n", "1", "-no-cnv",
                    "--no-display-prompt", "--no-warmup", "--temp", "0", "-p", place.prompt_of_five()]
                run(command)
                yield Measured(case, run(command).seconds, shown(command), {})
                continue
            command = [
                str(self.programs(place) / "llama-bench"), "-m", model, *case.options, "-t", threads, "-o", "json",
                *self.extra()]
            finished = run(command)
            row = parse(finished.output)
            if case.name == MEMORY:
                if finished.anonymous_bytes is None:
                    raise Failed("the system does not tell a process's memory")
                value = (
                    finished.anonymous_bytes - positions(row["n_prompt"] + row["n_gen"]) * KV_BYTES_PER_POSITION) / 1e6
            else:
                value = row["avg_ts"]
            yield Measured(case, value, shown(command), {"cpu_info": row.get("cpu_info")})

    def extra(self) -> list[str]:
        return []


class IkLlamaCpp(LlamaCpp):
    """The fork reads the same files; with `-rtr 1` it repacks them when it loads, its fastest mode."""

    peer = "ik_llama.cpp"

    def __init__(self, weights: str, bits: int) -> None:
        super().__init__(weights, bits)
        self.label = f"ik_llama.cpp {weights}"

    def prepare(self, place: Workplace) -> str:
        if place.ik_llama is None:
            raise Failed("not built; --ik-llama names a build folder")
        if not (self.programs(place) / "llama-bench").exists():
            raise Failed(f"{self.programs(place)}: there is no llama-bench")
        super().prepare(place)
        return f"build at {place.ik_llama}"

    def can(self, case: Case) -> bool:
        return case.name not in (FIRST_TOKEN, MEMORY) and case.depth == 0

    def programs(self, place: Workplace) -> Path:
        return (place.ik_llama or Path()) / "bin"

    def extra(self) -> list[str]:
        return ["-rtr", "1"]


def parse(output: str) -> dict[str, object]:
    """The one row of `llama-bench -o json`. Raises `Failed` for anything else."""
    try:
        rows = json.loads(output)
        (row,) = rows
        if not row["avg_ts"] > 0:
            raise ValueError
        return row
    except (ValueError, KeyError, TypeError):
        raise Failed("llama-bench's JSON was not one row with a rate") from None


def positions(tokens: int) -> int:
    """Positions that llama-bench allocates: a multiple of 256."""
    return (tokens + 255) // 256 * 256


def compiler() -> tuple[str, list[str]]:
    """Clang where there is one, as with Swift: its code was 1.7 times as fast as GCC 12's, whose build ended with an
    illegal instruction on a CPU with AMX. Swift's clang has no OpenMP; the threads are then ggml's own."""
    clang = shutil.which("clang"), shutil.which("clang++")
    if None in clang:
        return "the system's compiler", []
    return "Clang", [f"-DCMAKE_C_COMPILER={clang[0]}", f"-DCMAKE_CXX_COMPILER={clang[1]}", "-DGGML_OPENMP=OFF"]


def build_folder(place: Workplace) -> Path:
    words = ["build", *(["clang"] if compiler()[1] else []), *([] if place.isa == "native" else [place.isa])]
    return place.folder / "llama.cpp" / "-".join(words)


def gguf(place: Workplace, weights: str) -> Path:
    return place.folder / f"phi1-{weights.lower()}.gguf"


def build(place: Workplace) -> None:
    """Release, native flags or AVX2 only."""
    folder, programs = build_folder(place), build_folder(place) / "bin"
    if all((programs / name).exists() for name in MEASURED):
        return
    source = place.folder / "llama.cpp"
    if not (source / "CMakeLists.txt").exists():
        unpack(place)
    flags = ["-DGGML_NATIVE=ON"] if place.isa == "native" else AVX2
    step([
        tool("cmake"), "-S", str(source), "-B", str(folder), "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}",
        "-DCMAKE_BUILD_TYPE=Release", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF",
        *flags, *compiler()[1]])
    step([tool("cmake"), "--build", str(folder), "-j", str(os.cpu_count() or 2), "--target", *PROGRAMS])


def unpack(place: Workplace) -> None:
    sdist = place.folder / "sdist"
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
                files.extract(member, place.folder / "llama.cpp", filter="data")


def make_gguf(place: Workplace, weights: str) -> None:
    if gguf(place, weights).exists():
        return
    whole = gguf(place, "bf16")
    if not whole.exists():
        step([sys.executable, "-m", "compare.gguf", str(place.folder / "llama.cpp"), str(place.checkpoint), str(whole)])
    quantize = build_folder(place) / "bin" / "llama-quantize"
    new = whole.with_name("new.gguf")
    step([str(quantize), str(whole), str(new), weights, str(place.threads)])
    new.replace(gguf(place, weights))
