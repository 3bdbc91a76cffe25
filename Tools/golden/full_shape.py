"""The full-size check: logits of phi-1's shape with seeded weights, Hugging Face's float32 against swift-phi's.

    export PYTHONPATH=Tools
    python Tools/golden/full_shape.py make  --checkpoint DIR [--tokenizer DIR]  5.7 GB of disk, half a minute
    python Tools/golden/full_shape.py truth --checkpoint DIR                    6 GB of memory, under a minute
    python Tools/golden/full_shape.py check --checkpoint DIR --phi .build/release/phi --scratch DIR

`--tokenizer` is a folder with the tokenizer.json of phi-1; by default one of the same size is generated. `make` writes
the checkpoint by the rule of `phitools/seeded.py`, base seed 1. `truth` writes Tests/PhiTests/Goldens/phi-1-full:
ids.json (12 ids), logits.npy (float32 [3, 50295], after the last three ids) and meta.json. `check` converts with
`--type f32`, computes the logits and succeeds if the largest difference is at most 0.001 of the standard deviation of
the expected logits.
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from phitools.program import program
from phitools.seeded import write_checkpoint
from phitools.shapes import SHAPES

GOLDEN = Path(__file__).resolve().parents[2] / "Tests/PhiTests/Goldens/phi-1-full"
IDS = [4299, 751, 7, 64, 11, 275, 2599, 198, 50284, 7783, 257, 1343]  # "def add(a, b):\n    return a +"
KEEP = 3
BASE_SEED = 1
TOLERANCE = 1e-3


def make(arguments: argparse.Namespace) -> int:
    write_checkpoint(
        arguments.checkpoint, SHAPES["phi-1"], base_seed=BASE_SEED, tokenizer=arguments.tokenizer)
    return 0


def truth(arguments: argparse.Namespace) -> int:
    import hf_truth

    shape = SHAPES["phi-1"]
    values = hf_truth.logits(hf_truth.load(arguments.checkpoint), IDS, KEEP)[:, : shape.tokens]
    meta = {
        "command": "python Tools/golden/full_shape.py truth",
        "base_seed": BASE_SEED,
        "positions": [len(IDS) - KEEP, len(IDS)],
        "tokens": shape.tokens,
        "weights_sha256": hf_truth.weights_sha256(shape, BASE_SEED),
        "logits_std": float(values.std()),
        "versions": hf_truth.versions(),
    }
    hf_truth.write_golden(GOLDEN, IDS, values, meta)
    print(f"logits: mean {values.mean():.4f}, std {values.std():.4f}, from {values.min():.3f} to {values.max():.3f}")
    return 0


def timed(command: list[str | Path]) -> tuple[float, float]:
    """Run a command that must succeed; return its seconds and peak resident memory in MB, with mapped pages."""
    print("$", *command, flush=True)
    began = time.monotonic()
    process = subprocess.Popen([str(word) for word in command])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command[0]} {command[1]} failed with status {process.returncode}")
    kilobytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return time.monotonic() - began, kilobytes / 1024


def check(arguments: argparse.Namespace) -> int:
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    model, out, ids = (arguments.scratch / name for name in ("phi-1-f32.phi", "logits.npy", "ids.json"))
    ids.write_text((GOLDEN / "ids.json").read_text())
    steps = {
        "convert": [arguments.phi, "convert", arguments.checkpoint, "-o", model, "--type", "f32", "--force"],
        "logits": [arguments.phi, "logits", "-m", model, "--ids", ids, "-o", out],
    }
    for name, command in steps.items():
        seconds, megabytes = timed(command)
        print(f"{name}: {seconds:.1f} s, peak resident memory {megabytes:,.0f} MB")
    source = (arguments.checkpoint / "model.safetensors").stat().st_size
    print(f"model.safetensors {source:,} bytes, {model.name} {model.stat().st_size:,} bytes")

    expected = np.load(GOLDEN / "logits.npy")
    given = np.load(out)
    wanted_shape = (len(json.loads(ids.read_text())), expected.shape[1])
    if given.shape != wanted_shape or given.dtype != np.float32:
        print(f"logits are {given.dtype} {given.shape}, not float32 {wanted_shape}", file=sys.stderr)
        return 1
    difference = np.abs(given[-len(expected) :].astype(np.float64) - expected)
    ratio = float(difference.max() / expected.std())
    agree = int((given[-len(expected) :].argmax(1) == expected.argmax(1)).sum())
    print(f"largest difference {difference.max():.3g}, mean {difference.mean():.3g}, logits' std {expected.std():.4f}")
    print(f"largest difference / std = {ratio:.3g} (at most {TOLERANCE}); top id agrees at {agree} of {len(expected)}")
    if not arguments.keep:
        model.unlink()
    return 0 if ratio <= TOLERANCE else 1


def main() -> int:
    parser = argparse.ArgumentParser(description="phi-1's full shape against Hugging Face.")
    commands = parser.add_subparsers(required=True)
    for name, body in (("make", make), ("truth", truth), ("check", check)):
        command = commands.add_parser(name)
        command.set_defaults(body=body)
        command.add_argument("--checkpoint", type=Path, required=True)
        if body is make:
            command.add_argument("--tokenizer", type=Path)
        if body is check:
            command.add_argument("--phi", type=program, required=True, help="the built command")
            command.add_argument("--scratch", type=Path, required=True, help="a folder with 6 GB of free space")
            command.add_argument("--keep", action="store_true", help="keep the converted file")
    arguments = parser.parse_args()
    return arguments.body(arguments)


if __name__ == "__main__":
    sys.exit(main())
