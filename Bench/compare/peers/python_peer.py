"""The base of peers that are Python libraries: one process per round loads the model once and prints a line of JSON per
case."""
from __future__ import annotations

import importlib.metadata
import json
import sys
from collections.abc import Iterator

from compare.cases import Case
from compare.peers import Measured
from compare.processes import Failed, run, shown
from compare.workplace import Workplace


class PythonPeer:
    peer: str
    label: str
    bits: int
    module: str  # run as `python -m MODULE MODEL THREADS CASE...`
    package: str  # whose version is reported

    def prepare(self, place: Workplace) -> str:
        try:
            return f"{self.package} {importlib.metadata.version(self.package)}"
        except importlib.metadata.PackageNotFoundError:
            raise Failed(f"{self.package} is not installed") from None

    def can(self, case: Case) -> bool:
        return case.unit == "tok/s"

    def measure(self, place: Workplace, cases: list[Case]) -> Iterator[Measured]:
        if not cases:
            return
        command = [
            sys.executable, "-m", self.module, *self.arguments(place), str(place.threads),
            *(case.name for case in cases)]
        output = run(command, self.environment(place)).output
        rates = {}
        for line in output.splitlines():
            if line.startswith("{"):
                row = json.loads(line)
                rates[row["case"]] = row["rate"]
        for case in cases:
            if case.name not in rates:
                raise Failed(f"{self.module} said nothing of {case.name}")
            yield Measured(case, rates[case.name], shown(command, self.environment(place)), {})

    def arguments(self, place: Workplace) -> list[str]:
        raise NotImplementedError

    def environment(self, place: Workplace) -> dict[str, str]:
        return {"OMP_NUM_THREADS": str(place.threads)}
