"""A run's records: log.jsonl (a line per step), samples.jsonl, loss.png."""
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..durable import write_file

LOG, SAMPLES, CURVE = "log.jsonl", "samples.jsonl", "loss.png"
HEAD = b'{"step": 0, "parameters": '


class Record:
    """Appends lines; on resuming, lines after the checkpoint are dropped, so that the curve has no step twice, and all
    of a start that made none, which may have had another configuration: then `first` is the only one."""

    def __init__(self, path: Path, after: int, first: dict[str, Any] | None = None) -> None:
        begun = [first] if first else []
        kept = [line for line in _lines(path) if line.get("step", 0) <= after] if after else begun
        fresh = path.with_name(f".{path.name}.new")  # a kill or a full disk leaves the old lines
        self._file = open(fresh, "w", encoding="utf-8")
        try:
            for line in kept:
                self.add(**line)
            self.sync()
            os.replace(fresh, path)
        except BaseException:
            self._file.close()
            fresh.unlink(missing_ok=True)
            raise

    def add(self, **line: Any) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Flush to disk; called before a checkpoint of these steps is renamed into place."""
        os.fsync(self._file.fileno())


def begun(out: Path) -> bool:
    """Whether a folder's log is a run's, by how its first line begins."""
    try:
        with open(out / LOG, "rb") as f:
            return f.read(len(HEAD)) == HEAD
    except OSError:
        return False


def _lines(path: Path) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:
                break  # a line truncated by a kill
    return lines


def draw(out: Path) -> None:
    """Plot log.jsonl as loss.png: training (each step, and a running mean) and validation."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    lines = _lines(out / LOG)
    steps, losses = [r["step"] for r in lines if "loss" in r], [r["loss"] for r in lines if "loss" in r]
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(steps, losses, color="0.8", linewidth=0.7)
    window = max(1, len(losses) // 50)
    axes.plot(
        steps[window - 1:], [sum(losses[i + 1 - window:i + 1]) / window for i in range(window - 1, len(losses))],
        label="training")
    names = sorted({n for r in lines for n in r.get("validation", {})})
    for name in names:
        points = [(r["step"], r["validation"][name]) for r in lines if name in r.get("validation", {})]
        axes.plot(*zip(*points), marker=".", label=f"validation: {name}")
    axes.set(xlabel="step", ylabel="nats a token")
    axes.set_ylim(top=min(max(losses, default=1), 8))
    axes.legend()
    axes.grid(alpha=0.3)
    write_file(out / CURVE, lambda fresh: figure.savefig(fresh, dpi=120))
    pyplot.close(figure)
