"""The common base of peers that are Python libraries: a process per round loads the model once and prints a line of
JSON for each case."""
from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from compare.cases import Case
from compare.peers import Measured
from compare.processes import Failed, run, shown
from compare.workspace import Workspace


class PythonPeer:
    peer: str
    label: str
    bits: int
    module: str  # run as `python -m MODULE MODEL THREADS CASE...`
    package: str  # for the reported version

    def prepare(self, workspace: Workspace) -> str:
        program = f"import importlib.metadata as m; print(m.version({self.package!r}))"
        try:
            return f"{self.package} {run([self.python(workspace), '-c', program]).output.strip()}"
        except Failed:
            raise Failed(f"{self.package} is not installed") from None

    def need_native(self, workspace: Workspace) -> None:
        """Raise `Failed` where instruction sets are limited, which the package cannot be told."""
        if workspace.isa != "native":
            raise Failed("cannot be limited to AVX2")

    def python(self, workspace: Workspace) -> str:
        """Return the interpreter that has the package."""
        return sys.executable

    def can(self, case: Case) -> bool:
        return case.unit == "tok/s"

    def measure(self, workspace: Workspace, cases: list[Case]) -> Iterator[Measured]:
        if not cases:
            return
        command = [
            self.python(workspace), "-m", self.module, *self.arguments(workspace), str(workspace.threads),
            *(case.name for case in cases)]
        output = run(command, self.environment(workspace)).output
        rates = {}
        for line in output.splitlines():
            if line.startswith("{"):
                row = json.loads(line)
                rates[row["case"]] = row["rate"]
        for case in cases:
            if case.name not in rates:
                raise Failed(f"{self.module} reported nothing for {case.name}")
            yield Measured(case, rates[case.name], shown(command, self.environment(workspace)), {})

    def arguments(self, workspace: Workspace) -> list[str]:
        raise NotImplementedError

    def environment(self, workspace: Workspace) -> dict[str, str]:
        return {"OMP_NUM_THREADS": str(workspace.threads)}
