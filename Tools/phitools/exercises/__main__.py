"""Print exercises: python -m phitools.exercises --count 5 --seed 1 [--held-out]"""
from __future__ import annotations

import argparse
from itertools import islice

from .generate import draw, held_out

parser = argparse.ArgumentParser(description="Show exercises.")
parser.add_argument("--count", type=int, default=5)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--held-out", action="store_true", help="only exercises held out from training")
arguments = parser.parse_args()
for exercise in islice((e for e in draw(arguments.seed) if bool(held_out(e)) == arguments.held_out), arguments.count):
    print(f"# {exercise.family}: {exercise.composition}\n{exercise.source}")
