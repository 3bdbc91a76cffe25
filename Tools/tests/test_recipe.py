"""A test of the whole recipe at the smallest size: collect, filter, textbooks, exercises, train, convert, score."""
from __future__ import annotations

import json
import sys
import tempfile
import unittest
from pathlib import Path

from needs import packages

packages("torch", "datatrove", "orjson", "tokenizers", "sklearn", "rapidfuzz", "matplotlib")

from phitools.data.steps import read
from phitools.experiment import plan, queue, report

PHI = Path(__file__).resolve().parents[2] / ".build" / "release" / "phi"
SMALL = tuple(f"model.{k}" for k in ("hidden=32", "layers=2", "heads=2", "intermediate=64", "positions=512")) + \
    (
        "batch.context=64", "batch.sequences=4", "data.validation_tokens=512", "schedule.steps=12", "schedule.warmup=2",
        "run.checkpoint_every=5", "run.validate_every=12", "run.prompts=[]")


class Recipe(unittest.TestCase):
    def test_end_to_end(self) -> None:
        if not PHI.exists():
            text = f"SKIPPED, not tested here: {PHI} is missing; `make build` makes it"
            print(text, file=sys.stderr)
            self.skipTest(text)
        with tempfile.TemporaryDirectory() as name:
            o = plan.Options(
                Path(name), PHI, seeds=(1,), share=0.2, exercises=600, textbooks=250, vocabulary=500, labelled=1000,
                packages=False, limit=6,
                pretrain=SMALL, finetune=SMALL, tokenizer_characters=150_000)
            jobs = plan.jobs(o)
            code = queue.run(jobs, o.folder / "logs", workers=2, nice=0)
            logs = "".join(
                f"--- {p.name}\n{p.read_text()[-600:]}"
                for p in sorted((o.folder / "logs").glob("*.log"))) if code else ""
            self.assertEqual(code, 0, logs)
            self.assertTrue(all(j.product.exists() for j in jobs))
            kept, all_ = len(list(read(o.folder / "filtered"))), len(list(read(o.folder / "annotated")))
            self.assertTrue(0 < kept < all_, (kept, all_))
            result = json.loads((o.folder / "d-1" / "heldout.json").read_text())
            self.assertEqual(result["problems"], 6)
            table = report.table(o)
            self.assertEqual(table.count("\n"), 7)
            self.assertNotIn(
                "not measured", "".join(line.rsplit("|", 6)[0].rsplit("|", 2)[0] for line in table.splitlines()))
            report.picture(o, o.folder / "p.svg")
            stamps = [j.product.stat().st_mtime_ns for j in jobs]
            self.assertEqual(queue.run(jobs, o.folder / "logs", workers=2, nice=0), 0)
            self.assertEqual([j.product.stat().st_mtime_ns for j in jobs], stamps)

    def test_plan_names_only_what_it_makes_and_never_trains_on_what_is_held_out(self) -> None:
        o = plan.Options(Path("/x"), PHI)
        jobs = plan.jobs(o)
        names = [j.name for j in jobs]
        self.assertEqual(len(set(names)), len(names))
        self.assertEqual(sum(j.kind == "run" for j in jobs), 14)
        for job in jobs:
            self.assertFalse(set(job.needs) - set(names), job.name)
        budgets = {
            j.name: [x for x in j.command("python") if "steps" in x or "nano" in x] for j in jobs if j.kind == "run"}
        self.assertEqual({str(budgets[f"run {a}-{s}"]) for a in "abc" for s in (1, 2, 3)}, {str(budgets["run a-1"])})
        for job in jobs:
            if job.name.startswith("packed/") and "exercises" in job.name:
                self.assertIn("clean-exercises", " ".join(job.command("python")))

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
