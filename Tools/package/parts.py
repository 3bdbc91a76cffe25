"""What all packages share: the version, the time of the build, the staged tree and the licences of what it contains."""
from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MACHINE = platform.machine()
SUMMARY = "inference of Microsoft's phi-1 family on the CPU"


def version() -> str:
    """The version, from the one file that states it; Tools/tests/test_version.py compares all others with it."""
    return re.search(r'swiftPhiVersion = "([\d.]+)"', (ROOT / "Sources/Phi/Version.swift").read_text())[1]


def build_time() -> int:
    """Seconds since 1970 of the files in packages: $SOURCE_DATE_EPOCH, else the last commit's."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    shown = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, check=True, capture_output=True, text=True)
    return int(shown.stdout)


@dataclass(frozen=True)
class Licence:
    """The licence of a component that is contained in the packages."""

    component: str
    text: str

    def short(self) -> str:
        """The text without Apache's licence, which Debian has in a file of its own."""
        start, end = self.text.find("Apache License"), self.text.find("limitations under the License.")
        if start < 0 or end < 0:
            return self.text
        note = "Apache License, Version 2.0: see /usr/share/common-licenses/Apache-2.0.\n"
        return self.text[:start].rstrip() + "\n" + note + self.text[end:].split("\n", 1)[1]


@dataclass(frozen=True)
class Tree:
    """A staged installation under `root`/usr, and the folder in which SwiftPM keeps the sources of packages."""

    root: Path
    checkouts: Path

    @property
    def usr(self) -> Path:
        return self.root / "usr"

    @cached_property
    def licences(self) -> list[Licence]:
        """Those of swift-phi, of Swift's runtime and packages, and of the C++ library, all of which are inside."""
        found = {"swift-phi": [ROOT / "LICENSE"]}
        found["Swift"] = [Path(shutil.which("swiftc") or "").resolve().parents[1] / "share/swift/LICENSE.txt"]
        found["GNU's C++ library"] = sorted(Path("/usr/share/doc").glob("gcc-*-base/copyright"))[-1:]
        for folder in sorted(self.checkouts.iterdir()):
            found[folder.name] = [
                path for name in ("LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "NOTICE.txt")
                if (path := folder / name).exists()]
        for component, paths in found.items():
            if not paths:
                raise SystemExit(f"the licence of {component} is not found")
        return [
            Licence(component, "\n".join(path.read_text() for path in paths)) for component, paths in found.items()]

    @property
    def glibc(self) -> tuple[int, int]:
        """The glibc that the staged programs and libraries need."""
        return max(version for path in self.binaries for version in glibc_versions(path))

    @property
    def binaries(self) -> list[Path]:
        return [path for path in sorted(self.usr.rglob("*")) if is_elf(path)]


def is_elf(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def glibc_versions(path: Path) -> set[tuple[int, int]]:
    """The versions of glibc's symbols that a program or library refers to."""
    shown = subprocess.run(
        ["readelf", "--version-info", "--wide", path], check=True, capture_output=True, text=True).stdout
    return {(int(major), int(minor)) for major, minor in re.findall(r"\bGLIBC_(\d+)\.(\d+)", shown)}


def needed_libraries(path: Path) -> set[str]:
    """The libraries that a program or library loads."""
    shown = subprocess.run(["readelf", "--dynamic", "--wide", path], check=True, capture_output=True, text=True).stdout
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", shown))
