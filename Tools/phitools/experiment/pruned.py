"""Tell scores apart for problems that the training data come near and for the others, as in the paper's section 5:

    python -m phitools.experiment.pruned --near clean/problems.jsonl --scores all=all.json pruned=pruned.json

`problems.jsonl` is written by `phitools.data decontaminate`; scores are reports of `phi eval humaneval --json`, of a
model trained on all data and of others. A problem is similar at tau if the syntax tree of a document matches its
solution's at that rate; with --distance also if an embedding is nearer than that.
"""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..data.decontaminate import TAUS
from ..output import command, say, show
from . import scores
from .report import Estimate


def read_near(path: Path, distance: float) -> dict[str, float]:
    """Return each task's highest match rate, 1 for one within the distance of embeddings; raise ValueError for another
    file."""
    found = {}
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            try:
                d = json.loads(line)
                found[str(d["task_id"])] = 1.0 if distance and d["distance"] < distance else float(d["match"])
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path}, line {number}: not a problem of decontaminate ({error!r})") from None
    return found


def table(near: dict[str, float], models: dict[str, dict[str, float]]) -> str:
    """Return Markdown: for each tau the share solved of similar problems and of the others, in per cent, and the
    differences from the first model, with 95 % intervals."""
    first, *others = models
    tasks = [t for t in near if all(t in m for m in models.values())]
    if not tasks:
        raise ValueError("the scores and the file of problems have no task in common")
    heads = ["tau", "problems", *models, *(f"{o} - {first}" for o in others)]
    rows = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]

    def shown(e: Estimate, sign: bool = False) -> str:
        return Estimate(100 * e.value, 100 * e.replicates).shown(1, sign)
    for tau in TAUS:
        for name, chosen in (
                ("similar", [t for t in tasks if near[t] >= tau]), ("others", [t for t in tasks if near[t] < tau])):
            cells = [str(tau), f"{len(chosen)} {name}"]
            if chosen:
                solved = {m: scores.ratio([rates[t] for t in chosen]) for m, rates in models.items()}
                cells += [shown(e) for e in solved.values()] + [shown(solved[o] - solved[first], True) for o in others]
            rows.append("| " + " | ".join(cells + ["-"] * (len(heads) - len(cells))) + " |")
    return "\n".join(rows)


@command
def main() -> int:
    top = argparse.ArgumentParser(prog="phitools.experiment.pruned", description=__doc__.split("\n\n")[0])
    top.add_argument("--near", type=Path, required=True, help="problems.jsonl of phitools.data decontaminate")
    top.add_argument("--scores", nargs="+", required=True, metavar="NAME=FILE", help="reports")
    top.add_argument("--distance", type=float, default=0.0, help="similar, too, below this distance of embeddings")
    a = top.parse_args()
    try:
        models = {}
        for item in a.scores:
            name, sign, path = item.partition("=")
            if not sign:
                raise ValueError(f"--scores {item} is to be NAME=FILE")
            models[name] = scores.pass_rates(Path(path))
        show(table(read_near(a.near, a.distance), models))
        return 0
    except (OSError, ValueError) as error:
        say(f"phitools.experiment.pruned: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
