"""What the workers of Python peers have in common: prompts, and a line of JSON for each case."""
from __future__ import annotations

import json
import random
from collections.abc import Callable
from statistics import mean

from compare.cases import BY_NAME, Case


def report(names: list[str], timed: Callable[[Case, int], float]) -> None:
    """Print the mean rate of each case's repetitions, after a warm-up; `timed` returns that of a case by a seed."""
    for number, name in enumerate(names):
        case = BY_NAME[name]
        timed(Case("warm-up", "", "", prompt=min(case.prompt, 64), generate=8), 1000 + number)
        rate = mean(timed(case, 100 * number + i) for i in range(case.repetitions))
        print(json.dumps({"case": name, "rate": rate}), flush=True)


def prompt(case: Case, seed: int) -> list[int]:
    """Return arbitrary tokens for a case's depth and prompt; decode at depth 0 follows a single one, as in
    llama-bench."""
    draw = random.Random(seed)
    return [draw.randrange(50000) for _ in range(max(case.depth + case.prompt, 1))]
