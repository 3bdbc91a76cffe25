"""Running of a contender's program, with its output, total time and anonymous memory."""
from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


class Failed(Exception):
    """A failure to prepare or run a contender, with a one-line reason."""


@dataclass(frozen=True)
class Finished:
    output: str
    seconds: float  # from before the start of the process to its end
    anonymous_bytes: int | None  # maximum of Linux's RssAnon, sampled every 10 ms; None without /proc


def shown(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Return the command line as typed in the repository's folder."""
    command = [word.removeprefix(f"{REPOSITORY}/") for word in command]
    settings = [f"{name}={shlex.quote(value)}" for name, value in sorted((environment or {}).items())]
    return " ".join(settings + [shlex.join(command)])


def run(command: list[str], environment: dict[str, str] | None = None, limit: float = 3600) -> Finished:
    """Run a command to its end; raise `Failed` with the last line of its standard error."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
                env={**os.environ, **(environment or {})})
        except OSError as error:
            raise Failed(f"{command[0]}: {error.strerror}") from None
        watcher = MemoryWatcher(process.pid)
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failed(f"{Path(command[0]).name} ran for more than {limit:.0f} s") from None
        finally:
            seconds = time.perf_counter() - start
            watcher.stop()
        output.seek(0)
        errors.seek(0)
        if status != 0:
            raise Failed(f"{Path(command[0]).name} ended with {status}: {last_line(errors.read())}")
        return Finished(output.read().decode(errors="replace"), seconds, watcher.most)


def last_line(text: bytes) -> str:
    lines = [line.strip() for line in text.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no output"


class MemoryWatcher:
    """A thread that samples a process's RssAnon while it runs."""

    def __init__(self, process: int) -> None:
        self.most: int | None = None
        self._path = Path(f"/proc/{process}/status")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.01):
            try:
                found = re.search(r"^RssAnon:\s+(\d+) kB", self._path.read_text(), re.MULTILINE)
            except OSError:
                return
            if found:
                self.most = max(self.most or 0, int(found[1]) * 1024)
