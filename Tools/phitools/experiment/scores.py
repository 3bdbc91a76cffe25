"""Results of `phi eval --json`, and their means with bootstrap intervals over problems."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from .report import REPLICATES, Estimate


def results(path: Path) -> dict[str, dict[str, Any]]:
    """Return a report's results by task; raise ValueError for another file."""
    try:
        found = {str(r["task_id"]): r for r in json.loads(path.read_text(encoding="utf-8"))["results"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a report of phi eval --json ({type(error).__name__}: {error})") from None
    if not found:
        raise ValueError(f"{path}: has no results")
    return found


def passed(result: dict[str, Any]) -> float:
    """Return the share of a problem's samples that passed."""
    return float(np.mean([s["verdict"] == "passed" for s in result["samples"]]))


def pass_rates(path: Path) -> dict[str, float]:
    """Return the share of samples that passed, by task; raise ValueError for another file."""
    try:
        return {task: passed(r) for task, r in results(path).items()}
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: has no verdicts; is it of phi eval humaneval --json? ({error})") from None


def ratio(top: list[float], bottom: list[float] | None = None) -> Estimate:
    """Return sum over sum, or a mean, over problems. Lists of the same length are resampled alike, so that differences
    are of the same problems."""
    count = len(top)
    drawn = np.random.default_rng(count).multinomial(count, np.full(count, 1 / count), REPLICATES).astype(float)
    over = np.ones(count) if bottom is None else np.array(bottom, float)
    return Estimate(float(np.sum(top) / over.sum()), drawn @ np.array(top, float) / (drawn @ over))
