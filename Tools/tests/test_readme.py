"""The README's commands at toy size, in its order; in a fresh installation if PHITOOLS_BIN names its commands."""
from __future__ import annotations

import json
import os
import re
import shlex
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from needs import packages

packages("torch", "datatrove", "orjson", "tokenizers", "sklearn", "rapidfuzz", "matplotlib")

from phitools.exercises.generate import training

TOOLS = Path(__file__).resolve().parents[1]
PHI = TOOLS.parent / ".build" / "release" / "phi"
BASE = TOOLS.parent / "Tests/PhiCheckpointTests/Fixtures/current-safetensors-f32"
MODEL = " ".join(f"--set {s}" for s in (
    "model.hidden=32", "model.layers=2", "model.heads=2", "model.intermediate=64", "model.positions=512",
    "batch.context=64", "schedule.steps=12", "schedule.warmup=2", "run.checkpoint_every=5", "run.validate_every=12",
    "run.prompts=[]"))
TOY = {
    "--standard-library --packages": "--standard-library --share 0.2", "--vocabulary 2048": "--vocabulary 500",
    "--count 14000": "--count 120", "--count 72000": "--count 400", "--sample 4000": "--sample 500",
    "phitools-train ": f"phitools-train {MODEL} ", "-n 200": "-n 20 --limit 4", "Tools/": f"{TOOLS}/"}


def block(heading: str) -> str:
    """Return the commands under a heading, as printed."""
    section = (TOOLS / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1]


def write_examples(path: Path) -> None:
    path.write_text("".join(
        json.dumps({"prompt": e.prompt, "completion": e.solution}) + "\n" for e in training(2, 50)))


class Readme(unittest.TestCase):
    def setUp(self) -> None:
        if not PHI.exists():
            text = f"SKIPPED, not tested here: {PHI} is missing; `make build` makes it"
            print(text, file=sys.stderr)
            self.skipTest(text)
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = Path(self.scratch.name)
        commands = Path(os.environ.get("PHITOOLS_BIN", self.folder / "bin"))
        self.environment = os.environ | {
            "PATH": f"{commands}:{PHI.parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "PASSIVE"}
        if "PHITOOLS_BIN" in os.environ:
            self.environment.pop("PYTHONPATH", None)
            return
        self.environment["PYTHONPATH"] = str(TOOLS)
        commands.mkdir()
        for name in ("data", "train", "finetune", "experiment"):
            script = commands / f"phitools-{name}"
            script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m phitools.{name} "$@"\n')
            script.chmod(script.stat().st_mode | stat.S_IXUSR)

    def shell(self, commands: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands], cwd=self.folder, env=self.environment, capture_output=True,
            text=True)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])
        return done.stdout

    def test_the_commands_run_as_printed(self) -> None:
        commands = block("The recipe")
        for printed, small in TOY.items():
            self.assertIn(printed, commands)
            commands = commands.replace(printed, small)
        told = self.shell(commands)
        self.assertIn("left out: piece", told)
        self.assertTrue((self.folder / "tuned.phi").exists())
        write_examples(self.folder / "mine.jsonl")
        tune = block("Fine-tuning")
        self.assertIn("best: step", self.shell(tune.replace("--lora", "--lora 4 --epochs 1")))

    def test_the_experiment_has_its_files(self) -> None:
        for name in ("h", "m"):
            (self.folder / name).touch()
        self.assertIn("train raw-S-1\n", self.shell("phitools-experiment plan --out x --humaneval h --mbpp m"))

    def test_everyday_tasks_as_printed(self) -> None:
        commands = block("Exercises")
        for printed, small in {
                "--count 200000 --tasks 40": "--count 300 --tasks 2", "--count 40000": "--count 400",
                "--count 100000 --tasks 20": "--count 300", "--count 17000 --tasks 4": "--count 300",
                "HumanEval.jsonl.gz mbpp.jsonl": "heldout",
                "--vocabulary 2048": "--vocabulary 500", "phitools-train ": f"phitools-train {MODEL} "}.items():
            self.assertIn(printed, commands)
            commands = commands.replace(printed, small)
        self.assertIn("near a benchmark", self.shell(commands))
        self.assertTrue((self.folder / "inside.phi").exists())

    def test_a_tiny_phi_of_others_is_tuned_converted_completed_and_scored(self) -> None:
        (self.folder / "mine.jsonl").write_text("".join(
            json.dumps({"prompt": f"def f{i}(x):\n", "completion": f"    return x + {i}\n"}) + "\n" for i in range(50)))
        told = self.shell(
            f"phitools-finetune --base {BASE} --data mine.jsonl --lora 2 --epochs 1 --context 64 --out mine")
        convert, complete = told.split("next:\n")[1].strip().splitlines()
        self.shell(convert)
        self.shell(complete.replace("'a prompt'", "'def f(' -n 4"))
        text = " ".join(e.source for e in training(3, 5))
        (self.folder / "text.txt").write_text(text)
        score = json.loads(self.shell("phi eval perplexity -m mine/model.phi -f text.txt --json"))
        self.assertGreater(float(score["perplexity"]), 1)


if __name__ == "__main__":
    unittest.main()
