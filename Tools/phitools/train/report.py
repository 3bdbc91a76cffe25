"""A run's curve, sent to TensorBoard or trackio beside log.jsonl."""
from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any


def check(kind: str) -> None:
    """Raise ValueError for a report that cannot be made."""
    if kind and importlib.util.find_spec(kind) is None:
        raise ValueError(f"run.report = {kind} needs the package {kind}: pip install './Tools[report]'")


def scalars(line: dict[str, Any]) -> dict[str, float]:
    """Return a log line's numbers by name, those of validation sets as validation/NAME."""
    found: dict[str, float] = {}
    for key, value in line.items():
        for name, inner in value.items() if isinstance(value, dict) else [("", value)]:
            found[f"{key}/{name}" if name else key] = float(inner)
    return found


def reporter(kind: str, out: Path, done: int, config: dict[str, Any]) -> Callable[[int, dict[str, Any]], None]:
    """Return a function that reports a step's log line; after resuming, steps after `done` are replaced."""
    if kind == "tensorboard":
        from torch.utils.tensorboard import SummaryWriter
        board = SummaryWriter(str(out / "tensorboard"), purge_step=done + 1)

        def add(step: int, line: dict[str, Any]) -> None:
            for name, value in scalars(line).items():
                board.add_scalar(name, value, step)
            if "validation" in line:
                board.flush()
        return add
    if kind == "trackio":
        import trackio
        trackio.init(project=out.parent.name or "phitools", name=out.name, config=config, resume="allow")
        return lambda step, line: trackio.log(scalars(line), step=step)
    return lambda step, line: None
