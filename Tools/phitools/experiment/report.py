"""The experiment's table and figure, from the files of the runs; missing results are marked."""
from __future__ import annotations

import gzip
import json
import statistics
import textwrap
from pathlib import Path
from typing import Any

from .plan import ARMS, CONTROLS, HELD_OUT, Options


def scores(o: Options) -> dict[str, dict[int, dict[str, Any]]]:
    """Return measurements by arm and seed: pass@1 in percent, overall and per split, validation losses, tokens."""
    split = {}
    with gzip.open(HELD_OUT, "rt", encoding="utf-8") as f:
        for line in f:
            d = json.loads(line)
            split[d["task_id"]] = d["split"]
    found: dict[str, dict[int, dict[str, Any]]] = {a: {} for a in ARMS | CONTROLS}
    for arm in found:
        for seed in o.seeds:
            folder = o.folder / f"{arm}-{seed}"
            if not (folder / "heldout.json").exists():
                continue
            result = json.loads((folder / "heldout.json").read_text())
            last = next(line for line in reversed(_log(folder)) if "validation" in line)
            found[arm][seed] = {
                "result": result, "validation": last["validation"], "tokens": _tokens(folder), "split": split}
    return found


def _log(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def _tokens(run: Path) -> int:
    """Return the training tokens of a run and of the run that initialised it."""
    lines = _log(run)
    before = lines[0]["config"]["run"]["init"]
    return lines[-1]["step"] * lines[0]["tokens_per_step"] + (_tokens(Path(before).parent) if before else 0)


def pass_rates(measured: dict[str, Any]) -> dict[str, float]:
    """Return the pass rate in percent, overall and per split, from phi's JSON."""
    groups: dict[str, list[bool]] = {"all": []}
    for problem in measured["result"]["results"]:
        passed = problem["samples"][0]["verdict"] == "passed"
        for group in ("all", measured["split"][problem["task_id"]]):
            groups.setdefault(group, []).append(passed)
    return {k: 100 * sum(v) / len(v) for k, v in groups.items()}


def _cell(values: list[float], digits: int) -> str:
    if not values:
        return "not measured"
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"


def table(o: Options) -> str:
    """Return Markdown with a row per arm: means and standard deviations over seeds."""
    found = scores(o)
    kinds = ["code", "textbooks", "exercises"]
    rows = [
        "| | trained on | seeds | tokens | pass@1, % | compositions | families | "
        + " | ".join(f"loss: {k}" for k in kinds) + " |", "|---" * (7 + len(kinds)) + "|"]
    for arm, what in (ARMS | CONTROLS).items():
        runs = list(found[arm].values())
        rates = [pass_rates(r) for r in runs]
        tokens = f"{runs[0]['tokens'] / 1e6:.2f} M" if runs else "-"
        cells = [_cell([r[k] for r in rates if k in r], 1) for k in ("all", "composition", "family")] + [
            _cell([r["validation"][k] for r in runs], 2) for k in kinds]
        rows.append(f"| {arm} | {what} | {len(runs)} | {tokens} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


# Metadata of a figure that would differ from run to run, by the suffix of its file.
UNSTABLE_METADATA = {".svg": "Date", ".png": "Software"}


def picture(o: Options, path: Path) -> None:
    """Plot seeds as points and means as bars, as SVG or PNG; raise ValueError for another suffix."""
    if path.suffix.lower() not in UNSTABLE_METADATA:
        raise ValueError(f"{path}: is to be a picture, with a name that ends in {' or '.join(UNSTABLE_METADATA)}")
    import matplotlib
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "phi"
    from matplotlib import pyplot
    found = scores(o)
    figure, axes = pyplot.subplots(figsize=(8, 3.4), layout="constrained")
    arms = ARMS | CONTROLS
    for i, arm in enumerate(arms):
        values = [pass_rates(r)["all"] for r in found[arm].values()]
        if values:
            axes.bar(i, statistics.mean(values), color="#7aa6c2", width=0.6)
            axes.plot([i] * len(values), values, "o", color="black", markersize=4)
    axes.set_xticks(range(len(arms)), [textwrap.fill(f"({a}) {w}", 18) for a, w in arms.items()], fontsize=8)
    axes.set(ylabel="pass@1 on held-out exercises, %", ylim=(0, 100))
    axes.grid(axis="y", alpha=0.3)
    figure.savefig(path, metadata={UNSTABLE_METADATA[path.suffix.lower()]: None})
    pyplot.close(figure)
