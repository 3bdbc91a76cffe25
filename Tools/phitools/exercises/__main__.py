"""Print exercises: python -m phitools.exercises --count 5 --seed 1 [--tasks] [--held-out]"""
from __future__ import annotations

import argparse
from itertools import islice

from . import generate
from .tasks import stream

parser = argparse.ArgumentParser(description="Show exercises.")
parser.add_argument("--count", type=int, default=5)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--tasks", action="store_true", help="everyday tasks in many wordings, not the grammar alone")
parser.add_argument("--held-out", action="store_true", help="only exercises held out from training")
arguments = parser.parse_args()
drawn = stream.draw(arguments.seed) if arguments.tasks else generate.draw(arguments.seed)
wanted = (e for e in drawn if bool(e.held_out if arguments.tasks else generate.held_out(e)) == arguments.held_out)
for exercise in islice(wanted, arguments.count):
    print(f"# {exercise.family}: {exercise.composition}\n{exercise.source}")
