"""Write the held-out exercises: python -m phitools.exercises.heldout Tools/phitools/exercises/heldout.jsonl.gz

HumanEval's JSONL: prompt, entry_point, test, canonical_solution. 240 problems of held-out compositions and 160 of
held-out families, with no composition twice and no family more than twenty times. Takes seconds and is deterministic.
"""
from __future__ import annotations

import gzip
import io
import json
import sys
from collections import Counter
from pathlib import Path

from .exercise import Exercise
from .generate import draw, held_out

FILE = Path(__file__).with_name("heldout.jsonl.gz")
"""The held-out exercises of this package."""
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


def lines(chosen: list[tuple[str, Exercise]]) -> list[str]:
    """Return JSONL with HumanEval's keys and the family, composition and held-out kind."""
    out = []
    for i, (kind, e) in enumerate(chosen):
        out.append(
            json.dumps(
                {
                    "task_id": f"heldout/{i}", "prompt": e.prompt, "entry_point": e.name,
                    "canonical_solution": e.solution, "test": e.test,
                               "split": kind, "family": e.family, "composition": e.composition}))
    return out


def main() -> None:
    target = Path(sys.argv[1])
    data = io.BytesIO()
    with gzip.GzipFile(fileobj=data, mode="wb", mtime=0, filename="") as f:
        f.write(("\n".join(lines(choose(SEED, WANTED))) + "\n").encode())
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data.getvalue())


if __name__ == "__main__":
    main()
