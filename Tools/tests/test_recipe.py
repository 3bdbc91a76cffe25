"""A test of the whole experiment at the smallest size: pools, filter, mixtures, training, measures, report."""
from __future__ import annotations

import json
import sys
import tempfile
import unittest
from pathlib import Path

from needs import packages

packages("torch", "datatrove", "orjson", "tokenizers", "sklearn", "rapidfuzz", "matplotlib")

from phitools.data.steps import read
from phitools.experiment import measures, plan, queue, report

PHI = Path(__file__).resolve().parents[2] / ".build" / "release" / "phi"
SMALL = plan.Scale(
    ("XS", "XS", "XS"), steps=6, sequences=2, share=0.2, exercises=400, textbooks=150, vocabulary=500, labelled=150,
    context=64, packages=False, characters=150_000, settings=("schedule.warmup=2", "run.checkpoint_every=4"))
HUMAN_EVAL = {
    "task_id": "Own/0", "prompt": 'def add(a, b):\n    """Add the two."""\n', "entry_point": "add",
    "canonical_solution": "    return a + b\n", "test": "def check(f):\n    assert f(1, 3) == 4\n"}
MBPP = {
    "task_id": 11, "text": "Write a function that doubles.", "code": "def double(x):\r\n  return 2 * x",
    "test_setup_code": "", "test_list": ["assert double(3) == 6"]}


class Recipe(unittest.TestCase):
    def test_end_to_end(self) -> None:
        if not PHI.exists():
            text = f"SKIPPED, not tested here: {PHI} is missing; `make build` makes it"
            print(text, file=sys.stderr)
            self.skipTest(text)
        with tempfile.TemporaryDirectory() as name:
            files = {"humaneval": Path(name) / "humaneval.jsonl", "mbpp": Path(name) / "mbpp.jsonl"}
            for path, problem in zip(files.values(), (HUMAN_EVAL, MBPP)):
                path.write_text(json.dumps(problem) + "\n")
            o = plan.Options(Path(name) / "out", PHI, files, SMALL, seeds=(1,))
            jobs = plan.jobs(o)
            code = queue.run(jobs, o.folder / "logs", workers=2, nice=0)
            logs = "".join(
                f"--- {p.name}\n{p.read_text()[-600:]}"
                for p in sorted((o.folder / "logs").glob("*.log"))) if code else ""
            self.assertEqual(code, 0, logs)
            self.assertTrue(all(j.product.exists() for j in jobs))
            unseen = json.loads((o.folder / "filtered" / "manifest.json").read_text())["counts"]
            self.assertEqual(unseen["judged"], len(list(read(o.folder / "unique"))) - SMALL.labelled)
            self.assertAlmostEqual(unseen["kept"] / unseen["judged"], 0.2, delta=0.02)
            found = measures.gather(o)
            self.assertEqual(len(found["runs"]), len(set(plan.runs(SMALL, (1,)))))
            self.assertEqual({len(r["bits"]["heldout"]) for r in found["runs"].values()}, {400})
            self.assertTrue(all(r["pairs"]["humaneval"] for r in found["runs"].values()))
            analysis = report.Analysis(found)
            self.assertIn("| raw | 1 |", report.text(analysis))
            report.picture(analysis, o.folder / "p.svg")
            stamps = [j.product.stat().st_mtime_ns for j in jobs]
            self.assertEqual(queue.run(jobs, o.folder / "logs", workers=2, nice=0), 0)
            self.assertEqual([j.product.stat().st_mtime_ns for j in jobs], stamps)

    def test_a_failed_job_leaves_its_dependants(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            def touch(n: str) -> list[str]:
                return [sys.executable, "-c", f"open({str(folder / n)!r}, 'w').close()"]
            jobs = [
                plan.Job("good", folder / "good", (), lambda _: touch("good")),
                plan.Job("bad", folder / "bad", ("good",), lambda _: [sys.executable, "-c", "raise SystemExit(3)"]),
                plan.Job("after", folder / "after", ("bad",), lambda _: touch("after")),
                plan.Job("beside", folder / "beside", ("good",), lambda _: touch("beside"))]
            self.assertEqual(queue.run(jobs, folder / "logs", 1, 0), 1)
            self.assertEqual(
                [(folder / n).exists() for n in ("good", "bad", "after", "beside")], [True, False, False, True])


if __name__ == "__main__":
    unittest.main()
