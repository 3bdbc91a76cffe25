"""Makes the packages of a staged installation: `make package` runs it.

    python3 Tools/package/make.py --stage .build/stage --checkouts .build/checkouts --out .build/packages
"""
from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import deb
import tarball
import wheel
from parts import Tree


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the packages of a staged installation.")
    parser.add_argument("--stage", type=Path, required=True, help="the folder that stands for /")
    parser.add_argument("--checkouts", type=Path, required=True, help="where SwiftPM keeps the sources of packages")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    tree = Tree(options.stage.resolve(), options.checkouts)
    options.out.mkdir(parents=True, exist_ok=True)
    written = [tarball.write(tree, options.out), wheel.write(tree, options.out), *deb.write(tree, options.out)]
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in written]
    (options.out / "SHA256SUMS").write_text("".join(sums))
    for path in written:
        print(f"{path.stat().st_size / 1e6:6.1f} MB  {path}")


if __name__ == "__main__":
    main()
