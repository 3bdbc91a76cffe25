"""Reproduce the calibration text of `phi convert` with the commit that generated it, and compare the bytes.

    python Tools/golden/calibration_text.py > text.txt

Takes seconds; needs the repository's history. The text consists of the beginnings of that commit's Python files between
its generated exercises. It stays the same when generators change, so that calibrated models do not change either.
"""
from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

COMMIT = "c51ce59"
ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", COMMIT, "Tools"], check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        tarfile.open(fileobj=io.BytesIO(archive)).extractall(folder, filter="data")
        text = subprocess.run(
            [sys.executable, f"{folder}/Tools/train/calibration.py"], check=True, capture_output=True).stdout
    sys.stdout.buffer.write(text)
    same = text == (ROOT / "Sources/CPhiCalibration/text.txt").read_bytes()
    print("the committed bytes" if same else "NOT the committed bytes", file=sys.stderr)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
