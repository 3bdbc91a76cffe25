"""Print exercises: python -m phitools.exercises --count 5 --seed 1 [--tasks] [--held-out]"""
from __future__ import annotations

import argparse
import sys
from itertools import islice

from ..output import command, show
from ..program import number
from . import generate
from .tasks import stream


@command
def main() -> int:
    parser = argparse.ArgumentParser(prog="phitools.exercises", description="Show exercises.")
    parser.add_argument("--count", type=number(int, 0), default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tasks", action="store_true", help="everyday tasks in many wordings, not the grammar alone")
    parser.add_argument("--held-out", action="store_true", help="only exercises held out from training")
    arguments = parser.parse_args()
    drawn = stream.draw(arguments.seed) if arguments.tasks else generate.draw(arguments.seed)
    wanted = (e for e in drawn if bool(e.held_out if arguments.tasks else generate.held_out(e)) == arguments.held_out)
    for exercise in islice(wanted, arguments.count):
        show(f"# {exercise.family}: {exercise.composition}\n{exercise.source}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
