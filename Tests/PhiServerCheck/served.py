"""Starts the built phi-server for a check, and says how its memory fares."""
from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
END_OF_TEXT = "2047"  # the token of the small model, whose texts end by themselves


class Served:
    """A phi-server on a free port, ended with the block that it is for."""

    def __init__(
            self, *options: str, program: str | None = None, log: Path | None = None, **variables: str) -> None:
        program = program or os.environ.get("PHI_SERVER") or str(REPOSITORY / ".build/release/phi-server")
        self.log = open(log, "wb") if log else subprocess.DEVNULL
        self.process = subprocess.Popen(
            [program, "--port", "0", *options], stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL,
            text=True, env=os.environ | variables)
        line = self.process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"phi-server did not start: status {self.process.wait()}")
        self.url = line
        self.port = int(line.rsplit(":", 1)[1])

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(120)

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def memory(self) -> int:
        """Bytes of memory that are its own."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^RssAnon:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(self.url + "/metrics", timeout=60) as answer:
            text = answer.read().decode()
        return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)[1])

    def post(self, path: str, body: object) -> dict:
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.load(answer)


def completed(prompt: str, tokens: int, temperature: float = 0, seed: int = 0, model: str | None = None) -> str:
    """What `phi complete` makes."""
    program = os.environ.get("PHI") or str(REPOSITORY / ".build/release/phi")
    command = [program, "complete", "--json", "-n", str(tokens), "--temperature", str(temperature), "--seed", str(seed)]
    done = subprocess.run(
        command + (["-m", model] if model else []) + ["-"], input=prompt.encode(), capture_output=True, check=True)
    return json.loads(done.stdout)["text"]
