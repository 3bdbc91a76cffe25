"""The results file: all samples, and everything needed to reproduce them."""
from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compare.processes import Failed
from inputs import read_text, said, write_text


class Results:
    """Samples by round, contender and case, saved after each one, so that an interrupted run can resume."""

    def __init__(self, path: Path, setting: dict[str, Any]) -> None:
        """Open an existing file to resume, or start a new one; all samples of a file must share `setting`."""
        self.path = path
        if path.exists():
            self.data = read(path)
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
        write_text(self.path, json.dumps(self.data, indent=1) + "\n")


PARTS = {"setting": dict, "date": str, "versions": dict, "commands": dict, "failures": dict, "samples": list}
SAMPLE = {"round": int, "contender": str, "case": str, "value": (int, float)}
SETTING = {"machine": dict, "threads": int, "isa": str}
MACHINE = {"cpu": str, "cores": int, "virtual": bool, "flags": list, "memory_gb": (int, float, type(None))}


def read(path: Path) -> dict[str, Any]:
    """Return a results file's data; raise `Failed` for a file of another kind."""
    try:
        data = json.loads(read_text(path))
    except OSError as error:
        raise Failed(f"{said(error)}; give a file of Bench/results") from None
    except (ValueError, RecursionError):
        raise Failed(f"{path}: is not JSON; give a file of Bench/results") from None
    if not has(data, PARTS) or not all(has(sample, SAMPLE) for sample in data["samples"]) or not all(
            isinstance(reason, str) for reason in data["failures"].values()):
        raise Failed(f"{path}: is not a file of results; give one of Bench/results")
    return data


def read_whole(path: Path) -> dict[str, Any]:
    """Return a results file's data if it has all that a report needs, else raise `Failed`."""
    data = read(path)
    if not has(data["setting"], SETTING) or not has(data["setting"]["machine"], MACHINE):
        raise Failed(f"{path}: lacks the machine and the threads; give a file of Bench/results")
    return data


def has(found: object, parts: dict[str, Any]) -> bool:
    """Return whether it is an object with all parts, each of its kind."""
    return isinstance(found, dict) and all(
        name in found and isinstance(found[name], kind) for name, kind in parts.items())


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
