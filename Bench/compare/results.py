"""The results file: all samples, and everything needed to reproduce them."""
from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compare.processes import Failed


class Results:
    """Samples by round, contender and case, saved after each one, so that an interrupted run can resume."""

    def __init__(self, path: Path, setting: dict[str, Any]) -> None:
        """Open an existing file to resume, or start a new one; all samples of a file must share `setting`."""
        self.path = path
        if path.exists():
            self.data = json.loads(path.read_text())
            for key, value in setting.items():
                if self.data["setting"].get(key) != value:
                    raise Failed(
                        f"{path}: was measured with {key} {self.data['setting'].get(key)}, not {value}; "
                        "choose another name")
        else:
            self.data = {
                "setting": setting, "date": now(), "versions": {}, "commands": {}, "failures": {}, "samples": []}

    def has(self, number: int, contender: str, case: str) -> bool:
        return any(
            (sample["round"], sample["contender"], sample["case"]) == (number, contender, case)
            for sample in self.data["samples"])

    def add(self, number: int, contender: str, case: str, command: str, value: float, details: dict[str, Any]) -> None:
        self.data["commands"].setdefault(contender, {})[case] = command
        self.data["samples"].append(
            {"round": number, "contender": contender, "case": case, "value": value, "time": now(), **details})
        self.save()

    def fail(self, contender: str, reason: str) -> None:
        self.data["failures"][contender] = reason
        self.save()

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(self.path.name + ".new")
        new.write_text(json.dumps(self.data, indent=1) + "\n")
        os.replace(new, self.path)


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
