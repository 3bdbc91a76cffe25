"""Write the held-out exercises: python -m phitools.exercises.heldout heldout|heldout-tasks FILE

HumanEval's JSONL: prompt, entry_point, test, canonical_solution. `heldout`: 240 problems of held-out compositions and
160 of held-out families of the grammar, with no composition twice and no family more than twenty times.
`heldout-tasks`: 120 wordings of everyday tasks, 24 pairs of tasks and 6 methods of classes that training never sees,
where HumanEval's protocol applies. Takes seconds and is deterministic.
"""
from __future__ import annotations

import gzip
import io
import json
import sys
from collections import Counter
from pathlib import Path

from ..durable import write_file
from .exercise import Exercise
from .generate import draw, held_out
from .tasks import stream

FILES = {name: Path(__file__).with_name(file) for name, file in (
    ("heldout", "heldout.jsonl.gz"), ("heldout-tasks", "heldout-tasks.jsonl.gz"), ("everyday", "everyday.jsonl"),
    ("everyday-2", "everyday-2.jsonl"))}
"""The problem sets of this package: the held-out exercises, and everyday functions worded as a newcomer would, twice."""
FILE = FILES["heldout"]
SEED, WANTED = 20_261, {"composition": 240, "family": 160}


def choose(seed: int, wanted: dict[str, int]) -> list[tuple[str, Exercise]]:
    """Choose exercises of each held-out kind, in the order of the stream."""
    left, seen, families = dict(wanted), set(), Counter()
    chosen: list[tuple[str, Exercise]] = []
    for exercise in draw(seed):
        if not any(left.values()):
            return chosen
        kind = held_out(exercise)
        key = (exercise.family, exercise.composition)
        if not left.get(kind) or key in seen or families[exercise.family] >= 20 or exercise.prompt.count("\n") > 12:
            continue
        seen.add(key)
        families[exercise.family] += 1
        left[kind] -= 1
        chosen.append((kind, exercise))
    return chosen


def choose_tasks(seed: int) -> list[tuple[str, stream.Drawn]]:
    """Choose held-out wordings, pairs and methods, in the order of the stream."""
    left, seen = {"wording": 120, "pair": 24, "method": 6}, set()
    chosen: list[tuple[str, stream.Drawn]] = []
    for e in stream.draw(seed):
        if not any(left.values()):
            break
        kind = {"composition": "pair", "class method": "method"}.get(e.family, "wording" if e.table else "")
        asked = kind == "method" or f"def {e.name}(" in e.prompt
        if kind == "wording" and not e.never_trained:
            continue
        if e.held_out and left.get(kind) and asked and e.composition not in seen and e.prompt.count("\n") <= 20:
            seen.add(e.composition)
            left[kind] -= 1
            chosen.append((kind, e))
    return chosen


def lines(chosen: list[tuple[str, Exercise]] | list[tuple[str, stream.Drawn]], prefix: str = "heldout") -> list[str]:
    """Return JSONL with HumanEval's keys and the family, composition and held-out kind."""
    out = []
    for i, (kind, e) in enumerate(chosen):
        out.append(
            json.dumps(
                {
                    "task_id": f"{prefix}/{i}", "prompt": e.prompt, "entry_point": e.name,
                    "canonical_solution": e.solution, "test": e.test,
                               "split": kind, "family": e.family, "composition": e.composition}))
    return out


def main() -> None:
    if len(sys.argv) != 3 or sys.argv[1] not in ("heldout", "heldout-tasks"):
        sys.exit(__doc__)
    kind, target = sys.argv[1], Path(sys.argv[2])
    chosen = choose(SEED, WANTED) if kind == "heldout" else choose_tasks(SEED)
    data = io.BytesIO()
    with gzip.GzipFile(fileobj=data, mode="wb", mtime=0, filename="") as f:
        f.write(("\n".join(lines(chosen, kind)) + "\n").encode())
    target.parent.mkdir(parents=True, exist_ok=True)
    write_file(target, lambda fresh: fresh.write_bytes(data.getvalue()))


if __name__ == "__main__":
    main()
