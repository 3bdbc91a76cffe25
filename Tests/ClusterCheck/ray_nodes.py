"""A Ray of two nodes on this machine: a data step on it, while one node is killed, gives the files of one process.

    python Tests/ClusterCheck/ray_nodes.py        (needs ray, and the recipe's packages)
"""
from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "Tools"
RAY = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1", "--disable-usage-stats"]


def main() -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{s.getsockname()[1]}"
    os.environ |= {"PYTHONPATH": str(TOOLS), "OMP_NUM_THREADS": "1", "RAY_ADDRESS": address}
    nodes = []
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as ends:
        here = Path(name)
        os.chdir(here)  # which Ray sends to its nodes
        head = ["--head", f"--port={address.split(':')[1]}", "--include-dashboard=false"]
        for line in (head, [f"--address={address}"]):
            nodes.append(subprocess.Popen(
                [*RAY, *line], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True))
            ends.callback(_end, nodes[-1].pid)
            time.sleep(10)
        step = [sys.executable, "-m", "phitools.data", "exercises", "--count", "16000", "--tasks", "8", "--out"]
        subprocess.run([*step, here / "local"], check=True)
        process = subprocess.Popen([*step, here / "ray", "--workers", "2", "--executor", "ray"])
        while process.poll() is None and not list(here.glob("ray/logs/run/completions/*")):
            time.sleep(0.1)
        os.killpg(nodes[1].pid, signal.SIGKILL)
        print("a node is killed", flush=True)
        assert process.wait(timeout=900) == 0, "the step failed"
        a, b = (json.loads((here / n / "manifest.json").read_text())["files"] for n in ("local", "ray"))
        assert a == b, "the files differ"
        print(f"data: {len(a)} files, the same as without Ray")


def _end(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
