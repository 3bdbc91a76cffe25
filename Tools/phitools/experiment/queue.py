"""A resumable queue of the experiment's jobs: completed jobs are skipped, interrupted ones resume."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from ..durable import lock
from ..output import say
from .plan import Job


def run(jobs: list[Job], logs: Path, workers: int, nice: int) -> int:
    """Run every job whose product is missing, at most `workers` at once; return 0, or 1 if a job failed and its
    dependants were skipped."""
    logs.mkdir(parents=True, exist_ok=True)
    held = lock(logs.parent / "queue.lock")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the jobs together with the queue
    done = {j.name for j in jobs if j.product.exists()}
    failed: set[str] = set()
    running: dict[str, tuple[Job, subprocess.Popen[bytes]]] = {}
    try:
        while True:
            for job in jobs:
                if len(running) < workers and job.name not in done | failed | set(running) and set(job.needs) <= done:
                    running[job.name] = (job, _start(job, logs, nice))
            if not running:
                break
            for name, (job, process) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[name]
                if process.returncode == 0 and _keep(job, logs):
                    done.add(name)
                    _say(f"done: {name} ({len(done)} of {len(jobs)})")
                else:
                    failed.add(name)
                    _say(f"failed: {name}; see {_log(job, logs)}")
            time.sleep(0.5)
    finally:
        for _, process in running.values():
            os.killpg(process.pid, signal.SIGTERM)
        held.close()
    left = [j.name for j in jobs if j.name not in done]
    if left:
        _say(f"not done: {', '.join(left)}")
    return 1 if left else 0


def _log(job: Job, logs: Path) -> Path:
    return logs / f"{job.name.replace(' ', '-').replace('/', '-')}.log"


def _start(job: Job, logs: Path, nice: int) -> subprocess.Popen[bytes]:
    _say(f"start: {job.name}")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "OMP_WAIT_POLICY": "PASSIVE"}
    command = ["nice", "-n", str(nice), *job.command(sys.executable)]
    with ExitStack() as files:
        log = files.enter_context(open(_log(job, logs), "ab"))
        out = files.enter_context(
            open(job.product.with_suffix(".part"), "wb")) if job.save_output else subprocess.DEVNULL
        return subprocess.Popen(command, stdout=out, stderr=log, env=environment, start_new_session=True)


def _keep(job: Job, logs: Path) -> bool:
    """Move a job's saved output into place."""
    if job.save_output:
        os.replace(job.product.with_suffix(".part"), job.product)
    return job.product.exists()


def _say(text: str) -> None:
    say(f"{time.strftime('%H:%M:%S')} {text}")
