"""Root file systems without Swift, in which the packages are tried, by bubblewrap."""
from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = Path(os.environ.get("PHI_PACKAGES", ROOT / ".build/packages")).resolve()
#: A root file system of its own, which is changed; without it, the machine's, read only.
BASE = Path(os.environ["PHI_ROOT"]).resolve() if "PHI_ROOT" in os.environ else None


def package(pattern: str) -> Path:
    """The one package of that name."""
    found = list(PACKAGES.glob(pattern))
    assert len(found) == 1, f"{pattern}: {found}; run `make package`"
    return found[0]


class Sandbox:
    """Runs programs in a root file system without Swift and LLVM, and without a network.

    /scratch is a folder that the test can write, /repository this repository without what was built, and /packages has
    the packages.
    """

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch

    def run(
        self, *command: str, path: str = "", user: int | None = None, proc: bool = True, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program to its end.

        `path`: folders of programs before the system's. `user`: its number there. `proc`: whether there is a /proc.
        """
        words = [
            "bwrap", "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-net", "--new-session",
            *(self.machine() if BASE is None else ["--bind", str(BASE), "/"]),
            *(["--proc", "/proc"] if proc else ["--tmpfs", "/proc"]), "--dev", "/dev", "--tmpfs", "/tmp",
            "--tmpfs", "/run",
            "--bind", str(self.scratch), "/scratch", "--ro-bind", str(PACKAGES), "/packages",
            "--ro-bind", str(ROOT), "/repository", "--tmpfs", "/repository/.build",
            "--chdir", "/scratch", "--clearenv", "--setenv", "HOME", "/scratch", "--setenv", "LC_ALL", "C.UTF-8",
            "--setenv", "PATH", path + "/usr/sbin:/usr/bin:/sbin:/bin", "--setenv", "DEBIAN_FRONTEND", "noninteractive",
        ]
        if user is not None:
            words += ["--unshare-user", "--uid", str(user), "--gid", str(user)]
        elif os.geteuid() == 0:
            words += ["--cap-add", "ALL"]
        words += ["--", *command]
        outcome = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=600)
        if check and outcome.returncode != 0:
            raise AssertionError(f"{command}\nstatus {outcome.returncode}\n{outcome.stdout}\n{outcome.stderr}")
        return outcome

    @staticmethod
    def machine() -> list[str]:
        """Arguments for the machine's own system without Swift, LLVM and what was installed by hand."""
        words = ["--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc", "--tmpfs", "/usr/local"]
        for name in ("/bin", "/sbin", "/lib", "/lib64"):
            if os.path.islink(name):
                words += ["--symlink", os.readlink(name), name]
            elif os.path.exists(name):
                words += ["--ro-bind", name, name]
        hidden = [*glob.glob("/usr/lib/llvm-*"), "/usr/lib/swift", "/usr/lib/swift_static"]
        for name in hidden:
            if os.path.isdir(name):
                words += ["--tmpfs", name]
        if not sys.base_prefix.startswith("/usr") or sys.base_prefix.startswith("/usr/local"):
            words += ["--ro-bind", sys.base_prefix, sys.base_prefix]
        return words

    def has(self, program: str) -> bool:
        return self.run("sh", "-c", f"command -v {program}", check=False).returncode == 0

    @property
    def python(self) -> str:
        """The system's interpreter; on the machine, the one that runs this."""
        return "/usr/bin/python3" if BASE else str(Path(sys.base_prefix) / "bin/python3")


def fresh(folder: Path) -> Path:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
