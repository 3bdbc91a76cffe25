"""The description of the machine for a results file."""
from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

FLAGS = (
    "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16",
    "asimddp", "i8mm", "sve")


def text_of(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def machine() -> dict[str, object]:
    """Return CPU, vector instructions, usable cores, memory and system."""
    cpu = text_of("/proc/cpuinfo")
    name = re.search(r"^model name\s*:\s*(.+)$", cpu, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", cpu, re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+) kB", text_of("/proc/meminfo"), re.MULTILINE)
    have = set(flags[1].split()) if flags else set()
    return {
        "cpu": name[1].strip() if name else platform.processor() or platform.machine(),
        "flags": [flag for flag in FLAGS if flag in have],
        "virtual": "hypervisor" in have,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(int(memory[1]) / 1e6, 1) if memory else None,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def commit(folder: Path) -> str:
    """Return the checked-out commit, with "+changes" if files differ from it."""
    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True).stdout.strip()

    dirty = git("status", "--porcelain", "--untracked-files=no", "--", "Sources", "Package.swift")
    return (git("rev-parse", "--short=10", "HEAD") or "unknown") + ("+changes" if dirty else "")
