"""What is reported of fine-tuned models: sample efficiency, pruned data, tasks beyond the exercises."""
from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

from needs import packages

packages("torch", "datatrove", "orjson", "tokenizers", "rapidfuzz")

import numpy as np
from test_readme import BASE, PHI

from phitools.data import __main__ as data
from phitools.exercises.generate import training
from phitools.experiment import beyond, efficiency, plan, pruned, scores
from phitools.experiment.beyond_tasks import TASKS
from phitools.experiment.report import Estimate


def run(main, *arguments: object) -> str:
    """Run a command in this process and return what it prints."""
    out = io.StringIO()
    with unittest.mock.patch("sys.argv", ["x", *map(str, arguments)]), contextlib.redirect_stdout(out):
        status = main()
    if status:
        raise AssertionError(f"{arguments} ended with {status}")
    return out.getvalue()


def needs_phi(test: unittest.TestCase) -> None:
    if not PHI.exists():
        text = f"SKIPPED, not tested here: {PHI} is missing; `make build` makes it"
        print(text, file=sys.stderr)
        test.skipTest(text)


class Scratch(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def score(self, name: str, verdicts: dict[str, str]) -> Path:
        """Write a report of phi eval humaneval with these verdicts."""
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps({"results": [
            {"task_id": t, "samples": [{"verdict": v}]} for t, v in verdicts.items()]}))
        return path


class Efficiency(Scratch):
    def test_the_number_for_half_is_found_between_measured_ones(self) -> None:
        r = np.random.default_rng(1)
        def share(p: float) -> Estimate:
            return scores.ratio((r.random(400) < p).astype(float).tolist())
        found = efficiency.needed({250: share(0.1), 500: share(0.3), 1000: share(0.7)})
        low, high = found.interval
        self.assertTrue(500 < low < found.value < high < 1000, (low, found.value, high))
        self.assertAlmostEqual(found.value, 500 * 2 ** 0.5, delta=90)
        self.assertTrue(efficiency.needed({250: share(0.1), 500: share(0.2)}).shown(0).startswith("≥ 500"))
        self.assertTrue(efficiency.needed({250: share(0.9)}).shown(0).startswith("≤ 250"))

    def test_models_are_tuned_on_doubled_numbers_and_continue(self) -> None:
        needs_phi(self)
        run(data.main, "exercises", "--count", 20, "--out", self.folder / "clean-exercises")
        for place in ("tokenizer", "runs/raw-S-1/final"):
            shutil.copytree(BASE, self.folder / place)
        o = plan.Options(self.folder, PHI, {}, seeds=(1,))
        self.assertEqual((efficiency.counts(o, 8), efficiency.models(o)), ([8, 16], ["raw-S-1"]))
        settings = (
            "batch.context=32", "schedule.steps=2", "schedule.warmup=1", "optimizer.muon=0.0")
        with contextlib.redirect_stderr(io.StringIO()) as told:
            self.assertEqual(efficiency.run(o, 2, 0, 8, settings, 2), 0, told.getvalue())
            for n in (8, 16):
                manifest = json.loads((self.folder / f"efficiency/exercises-{n}/manifest.json").read_text())
                self.assertEqual(manifest["documents"], n)
            text = efficiency.report(o)
            self.assertRegex(text, r"\| raw-S-1 \| 0.0 \| 0.0 \| ≥ 16")
            before = told.getvalue().count("start: ")
            self.assertEqual(efficiency.run(o, 2, 0, 8, settings, 2), 0)
            self.assertEqual(told.getvalue().count("start: "), before)  # all is done


    def test_the_pages_table_is_that_of_the_kept_scores(self) -> None:
        tools = Path(__file__).resolve().parents[1]
        kept = json.loads(gzip.decompress((tools / "experiment/efficiency.json.gz").read_bytes()))
        for model, counts in kept.items():
            final = self.folder / "runs" / model / "final"
            final.mkdir(parents=True)
            (final / "config.json").write_text("{}")
            for count, solved in counts.items():
                score = self.score("score", {
                    f"heldout/{n}": "passed" if n in solved else "failed" for n in range(400)})
                place = self.folder / "efficiency" / f"{model}-{count}"
                place.mkdir(parents=True)
                score.rename(place / "score.json")
        table = efficiency.report(plan.Options(self.folder, PHI, {}))
        self.assertIn(table, (tools / "README.md").read_text(encoding="utf-8"))


class Pruned(Scratch):
    def test_scores_are_told_apart_by_the_nearest_document(self) -> None:
        near = self.folder / "problems.jsonl"
        near.write_text("".join(json.dumps(
            {"benchmark": "b", "task_id": f"t{i}", "match": 0.96 if i < 30 else 0.5, "distance": i / 100}) + "\n"
            for i in range(100)))
        everything = self.score("all", {f"t{i}": "passed" if i < 40 else "failed" for i in range(100)})
        less = self.score("less", {f"t{i}": "passed" if 10 <= i < 40 else "failed" for i in range(100)})
        rows = run(pruned.main, "--near", near, "--scores", f"all={everything}", f"pruned={less}").split("\n")
        self.assertIn("pruned - all", rows[0])
        self.assertIn("| 0.95 | 30 similar | 100.0 (100.0 to 100.0) | 66.7 (", rows[2])
        self.assertIn("-33.3 (-50.0 to -16.7)", rows[2])
        self.assertIn("| 0.95 | 70 others | 14.3 (", rows[3])
        self.assertIn("+0.0 (+0.0 to +0.0)", rows[3])
        wide = run(pruned.main, "--near", near, "--scores", f"all={everything}", "--distance", 0.5).split("\n")
        self.assertIn("| 0.95 | 50 similar |", wide[2])
        with contextlib.redirect_stderr(io.StringIO()) as told:
            for wrong in (f"all={near}", str(everything), f"a={self.score('other', {'x': 'passed'})}"):
                with self.assertRaises(AssertionError):
                    run(pruned.main, "--near", near, "--scores", wrong)
        self.assertRegex(told.getvalue(), "not a report of phi eval.*\n.*to be NAME=FILE\n.*no task in common")

    def test_the_pages_table_is_that_of_the_kept_scores(self) -> None:
        tools = Path(__file__).resolve().parents[1]
        kept = json.loads(gzip.decompress((tools / "experiment/pruned.json.gz").read_bytes()))
        models = {name: {t: float(t in solved) for t in kept["near"]} for name, solved in kept["solved"].items()}
        self.assertEqual(len(kept["near"]), 164)
        self.assertIn(pruned.table(kept["near"], models), (tools / "README.md").read_text(encoding="utf-8"))


class Beyond(Scratch):
    def test_references_pass_and_no_exercise_is_like_them(self) -> None:
        for t in TASKS:
            space: dict[str, object] = {}
            exec(t.prompt + t.solution, space)
            exec("def check(candidate):\n" + t.test, space)
            space["check"](space[t.entry_point])
        for e in training(1, 300):
            self.assertNotRegex(e.source, r"(?m)^\s*(import|from|class)\b")
            self.assertEqual(e.source.count("def "), 1, e.source)

    def test_both_models_are_measured(self) -> None:
        needs_phi(self)
        subprocess.run(
            [PHI, "convert", BASE, "-o", self.folder / "a.phi", "--type", "f32"], check=True, capture_output=True)
        os.symlink(PHI.absolute(), self.folder / "phi")
        with contextlib.chdir(self.folder):
            told = run(
                beyond.main, "--base", "a.phi", "--tuned", "a.phi", "--phi", "./phi", "--out", "out",
                "--eval=--allow-unsandboxed")
        self.assertRegex(told, r"\| classes \| 8 \| .* \| \+0\.000 \(\+0\.000 to \+0\.000\) \| 0 \| 0 \|")
        whole = (self.folder / "out/report.md").read_text()
        self.assertEqual((whole.count("\n## "), whole.count("After, not solved")), (24, 24))


if __name__ == "__main__":
    unittest.main()
