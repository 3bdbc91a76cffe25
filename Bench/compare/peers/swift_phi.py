"""swift-phi: `phi bench`, and `phi complete` for the first token."""
from __future__ import annotations

import json
from collections.abc import Iterator

from compare.cases import FIRST_TOKEN, MEMORY, Case
from compare.machine import commit
from compare.peers import Measured
from compare.processes import REPOSITORY, Failed, run, shown
from compare.workspace import Workspace, step


class SwiftPhi:
    peer = "swift-phi"

    def __init__(self, weights: str, bits: int) -> None:
        self.weights = weights
        self.label = f"swift-phi {weights}"
        self.bits = bits

    def prepare(self, workspace: Workspace) -> str:
        if not workspace.phi.exists():
            raise Failed(f"{workspace.phi} is missing; run make build")
        workspace.make_checkpoint()
        if not self._model(workspace).exists():
            # Calibration is pointless for random weights and does not affect speed.
            calibrate = ["--calibrate", "none"]
            step(
                [
                    str(workspace.phi), "convert", str(workspace.checkpoint), "-o", str(self._model(workspace)),
                    "--type", self.weights, *calibrate])
            if not self._model(workspace).exists():
                raise Failed(f"{workspace.phi} converted nothing; --phi names the command phi")
        return commit(REPOSITORY)

    def can(self, case: Case) -> bool:
        return True

    def measure(self, workspace: Workspace, cases: list[Case]) -> Iterator[Measured]:
        environment = {} if workspace.isa == "native" else {"PHI_ISA": workspace.isa}
        model, threads = str(self._model(workspace)), str(workspace.threads)
        for case in cases:
            if case.name == FIRST_TOKEN:
                command = [
                    str(workspace.phi), "complete", "-m", model, "--threads", threads, "-n", "1", "--no-echo",
                    workspace.prompt_of_five()]
                run(command, environment)
                finished = run(command, environment)
                yield Measured(case, finished.seconds, shown(command, environment), {})
                continue
            command = [str(workspace.phi), "bench", "-m", model, *case.options, "-t", threads, "-o", "json"]
            finished = run(command, environment)
            (row,) = json.loads(finished.output)
            if case.name == MEMORY:
                if finished.anonymous_bytes is None:
                    raise Failed("the system does not report a process's memory")
                value = (finished.anonymous_bytes - row["kv_cache_bytes"]) / 1e6
            else:
                value = row["avg_ts"]
            details = {name: row.get(name) for name in (
                "cpu_info", "instruction_set", "read_gbps", "read_share", "int8_tops", "int8_share")}
            yield Measured(case, value, shown(command, environment), details)

    def _model(self, workspace: Workspace):
        return workspace.folder / f"phi1-{self.weights}.phi"
