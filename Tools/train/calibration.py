"""Make the calibration text inside `phi convert`: generated exercises between beginnings of this repository's own Python files.

    python Tools/train/calibration.py > Sources/CPhiCalibration/text.txt

Cost: seconds. The exercises have a seed that no corpus uses. The text is made once and committed; it need not follow
when the Python files change.
"""
from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

from exercises import generate

SEED, PER_FILE, CHARACTERS = 77, 8, 4000


def main() -> None:
    files = sorted(p for p in Path(__file__).parents[1].rglob("*.py") if p != Path(__file__).resolve())
    exercises = generate(SEED)
    for path in files:
        parts = [path.read_text(encoding="utf-8")[:CHARACTERS], *islice(exercises, PER_FILE)]
        sys.stdout.write("\n\n".join(part.strip("\n") for part in parts) + "\n\n\n")


if __name__ == "__main__":
    main()
