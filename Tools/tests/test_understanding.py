"""The problems of `phi eval understanding`: as their sources say, right, and told unlike any exercise."""
from __future__ import annotations

import json
import sys
import unittest
from pathlib import Path

from needs import packages

packages("rapidfuzz")

TOOLS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOOLS / "golden"))

import understanding
from phitools.data.decontaminate import Problem, judge, problems
from phitools.exercises import heldout
from phitools.exercises.generate import training


class Understanding(unittest.TestCase):
    def test_the_file_is_made_of_the_sources(self) -> None:
        rows = [json.loads(line) for line in understanding.FILE.read_text(encoding="utf-8").splitlines()]
        self.assertEqual(rows, understanding.problems())
        self.assertEqual(len({r["entry_point"] for r in rows}), 50)

    def test_references_pass_and_nothing_constant_does(self) -> None:
        for r in understanding.problems():
            space: dict[str, object] = {}
            exec(r["prompt"] + r["canonical_solution"] + r["test"], space)
            space["check"](space[r["entry_point"]])
            for constant in (0, 1, "", [], {}, True, False, None):
                with self.assertRaises(AssertionError, msg=r["entry_point"]):
                    space["check"](lambda *_, constant=constant: constant)

    def test_they_are_unlike_exercises(self) -> None:
        ours = [r["prompt"] + r["canonical_solution"] for r in understanding.problems()]
        others = [*problems(heldout.FILE), *(Problem("", "", e.prompt, e.source) for e in training(1, 1000))]
        _, report, _ = judge(ours, others, 2, 0.0)
        self.assertEqual((report["13-gram"], report["tau"]["0.9"]), (0, 0), report)


if __name__ == "__main__":
    unittest.main()
