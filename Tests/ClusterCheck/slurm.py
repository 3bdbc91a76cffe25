"""A Slurm of one controller and two node daemons on this machine: data steps and training on it, with kills.

    python Tests/ClusterCheck/slurm.py        (needs root, Debian's slurm-wlm and munge, and the recipe's packages)

A data step's files are those of one process. Training on two nodes, of which a process is killed and then a node,
gives the curve of an unbroken run on one.
"""
from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

TOOLS = Path(__file__).resolve().parents[2] / "Tools"
sys.path[:0] = [str(TOOLS), str(TOOLS / "tests")]

from test_train import curve, make_data  # noqa: E402

SETTINGS = ("dropout.attention=0.0", "dropout.residual=0.0", "schedule.steps=200", "run.validate_every=100")
FILE = """ClusterName=check
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={here}/munge.socket
StateSaveLocation={here}/state
SlurmdSpoolDir={here}/spool-%n
SlurmctldPidFile={here}/controller.pid
SlurmdPidFile={here}/%n.pid
SlurmctldLogFile={here}/controller.log
SlurmdLogFile={here}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SlurmdTimeout=10
MessageTimeout=60
BatchStartTimeout=120
MinJobAge=300
NodeName=one NodeHostname={host} NodeAddr=127.0.0.1 Port={one} CPUs=2 RealMemory=6000
NodeName=two NodeHostname={host} NodeAddr=127.0.0.1 Port={two} CPUs=2 RealMemory=6000
PartitionName=check Nodes=one,two Default=YES MaxTime=INFINITE State=UP
"""


def ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        free = [held.enter_context(socket.socket()) for _ in range(count)]
        for s in free:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in free]


def run(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]}: {done.stderr[-2000:]}")
    return done.stdout


def state(job: str) -> str:
    return run("scontrol", "show", "job", job)


def until(what: str, done: Callable[[], object], seconds: float = 900, *, job: str = "") -> None:
    """Wait for something, at most until a job that is to do it has failed."""
    begun = time.monotonic()
    while not done():
        if job and "JobState=FAILED" in state(job):
            raise SystemExit(f"no {what}: {state(job)}")
        if time.monotonic() - begun > seconds:
            raise SystemExit(f"no {what} in {seconds:.0f} s; squeue: {run('squeue')}")
        time.sleep(0.2)
    print(f"{what} after {time.monotonic() - begun:.0f} s", flush=True)


@contextlib.contextmanager
def slurm(here: Path) -> Iterator[None]:
    """Run the daemons in a folder, and end them."""
    controller, one, two = ports(3)
    (here / "slurm.conf").write_text(FILE.format(
        host=socket.gethostname(), here=here, port=controller, one=one, two=two))
    os.environ["SLURM_CONF"] = str(here / "slurm.conf")
    (here / "state").mkdir()
    (here / "munge.key").write_bytes(os.urandom(128))
    (here / "munge.key").chmod(0o400)
    daemons = [
        ["munged", "--foreground", "--force", f"--socket={here}/munge.socket", f"--key-file={here}/munge.key",
         f"--pid-file={here}/munge.pid", f"--log-file={here}/munge.log", f"--seed-file={here}/munge.seed"],
        ["slurmctld", "-D", "-i"], ["slurmd", "-D", "-N", "one"]]
    running = []
    try:
        for line in daemons:
            running.append(subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            time.sleep(2)
        node_two(here)
        until("nodes", lambda: run("sinfo", "--noheader", "--format=%t %D").strip() == "idle 2", 120)
        yield
    finally:
        subprocess.run(["scancel", "--user=root"], capture_output=True)
        time.sleep(2)
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((here / "two.pid").read_text()), signal.SIGTERM)
        for process in reversed(running):
            process.terminate()
            process.wait()


def node_two(here: Path) -> None:
    subprocess.Popen(["slurmd", "-D", "-N", "two"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def processes(text: str) -> list[int]:
    """Return the processes of this check whose command line has a text."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if text in line and int(folder.name) != os.getpid():
                found.append(int(folder.name))
    return sorted(found)


def kill_node_two(here: Path, job: str) -> None:
    """Kill the node's daemon, its part of the job, and all that these started."""
    killed = [int((here / "two.pid").read_text())] + [
        p for p in processes(f"slurmstepd: [{job}") if str(here / "two.log") in run("ls", "-l", f"/proc/{p}/fd")]
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
    for _ in range(9):
        killed += [p for p, parent in parents.items() if parent in killed and p not in killed]
    for pid in killed:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def data(here: Path) -> None:
    step = [sys.executable, "-m", "phitools.data", "exercises", "--count", "2000", "--tasks", "4"]
    run(*step, "--out", here / "local")
    run(*step, "--workers", "2", "--executor", "slurm", "--partition", "check", "--out", here / "slurm")
    a, b = (json.loads((here / n / "manifest.json").read_text())["files"] for n in ("local", "slurm"))
    assert a == b, "the files differ"
    print(f"data: {len(a)} files, the same as without Slurm", flush=True)


def training(here: Path) -> None:
    make_data(here)
    sets = [x for s in SETTINGS for x in ("--set", s)]
    os.chdir(here)
    run(sys.executable, "-m", "phitools.train", "--config", "config.toml", *sets, "--set", "run.out=one")
    out = here / "two"
    job = run("sbatch", "--parsable", "--partition=check", f"--output={here}/job.log", TOOLS / "deploy/train.sbatch",
              "--config", "config.toml", *sets, "--set", f"run.out={out}", "--set", "run.strategy=fsdp", "--set",
              "run.sharded=true").strip()

    def steps() -> int:
        return len(curve(out)) if (out / "log.jsonl").exists() else 0
    until("a first checkpoint", lambda: list(out.glob("checkpoints/step-*")), job=job)
    os.kill(processes(f"--set run.out={out}")[-1], signal.SIGKILL)
    at = steps()
    until("steps after a killed process", lambda: steps() >= at + 10, job=job)
    kill_node_two(here, job)
    until("requeued job", lambda: "Restarts=1" in state(job))
    node_two(here)
    until("end of the job", lambda: "JobState=COMPLETED" in state(job), job=job)
    ours, whole = curve(out), curve(here / "one")
    assert [s for s, _, _ in ours] == [s for s, _, _ in whole], "steps are missing"
    most = max(abs(a[1] - b[1]) for a, b in zip(ours, whole))
    assert most < 1e-3, most
    print(f"training: {len(ours)} steps, largest difference of the losses {most:.6f}")


def main() -> None:
    os.environ |= {
        "PYTHONPATH": str(TOOLS), "OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    here = Path(tempfile.mkdtemp(dir="/tmp"))
    here.chmod(0o755)
    with slurm(here):
        data(here)
        training(here)
    shutil.rmtree(here)


if __name__ == "__main__":
    main()
