"""Tests of the exercises: determinism, correct solutions, discriminating asserts, no held-out exercises in training."""
from __future__ import annotations

import ast
import gzip
import json
import tempfile
import unittest
from collections import Counter
from itertools import islice
from pathlib import Path

from phitools.exercises import families_sets as sets
from phitools.exercises import heldout
from phitools.exercises.draw import Draw
from phitools.exercises.generate import HELD_OUT_FAMILIES, draw, held_out, training
from phitools.exercises.parts import atom

COMMITTED = heldout.FILE


class Stream(unittest.TestCase):
    def test_same_seed_same_stream(self) -> None:
        self.assertEqual([e.source for e in training(3, 150)], [e.source for e in training(3, 150)])
        self.assertNotEqual([e.source for e in training(3, 20)], [e.source for e in training(4, 20)])

    def test_training_is_distinct_and_of_its_side(self) -> None:
        exercises = list(training(11, 1500))
        self.assertEqual(len({e.source for e in exercises}), 1500)
        self.assertFalse([e.composition for e in exercises if held_out(e)])
        self.assertGreater(len({(e.family, e.composition) for e in exercises}), 900)

    def test_families_stay_a_manifold(self) -> None:
        counts = Counter(e.family for e in islice(draw(5), 3000))
        self.assertGreater(len(counts), 60)
        self.assertLess(max(counts.values()), 300)
        self.assertTrue(set(counts) >= HELD_OUT_FAMILIES, HELD_OUT_FAMILIES - set(counts))

    def test_prompt_and_solution_are_one_function(self) -> None:
        for e in training(8, 300):
            tree = ast.parse(e.source)
            self.assertEqual([type(n) for n in tree.body], [ast.FunctionDef])
            self.assertIsNotNone(ast.get_docstring(tree.body[0]))
            self.assertTrue(e.prompt.endswith('"""\n'))

    def test_asserts_refuse_a_wrong_solution(self) -> None:
        for e in training(9, 200):
            space: dict = {}
            exec(e.test, space)
            constant = e.answer(e.calls[0])
            with self.assertRaises(AssertionError, msg=e.source):
                space["check"](lambda *_, constant=constant: constant)

    def test_a_wrong_body_is_refused(self) -> None:
        e = next(training(2, 1))
        with self.assertRaises(ValueError):
            type(e)(**{**e.__dict__, "body": "return 'neither of these'"}).holds()

    def test_references_are_not_the_bodies(self) -> None:
        """Compare each part's meaning with its code on every value of a small range."""
        import random
        for element, values in (
                ("int", list(range(-40, 41))), ("str", ["", "a", "Ab", "level", "XYZ", "12", "stone"]),
                ("char", list("aE z9!Zb"))):
            for table in (sets.PREDICATES[element], sets.MAPS[element]):
                for rule in table.values():
                    d = Draw(random.Random(1))
                    part = rule(d)
                    env = {name: draw_argument(d.r) for name, _, draw_argument in d.parameters}
                    for v in values:
                        self.assertEqual(
                            eval(part.code("x"), {"x": v, **env}), part.meaning(v, env), f"{part.kind} of {v!r}")

    def test_atom(self) -> None:
        for code, wanted in (
                ("x", "x"), ("f(x)", "f(x)"), ("f(x, y)", "f(x, y)"), ("x + 1", "(x + 1)"), ("f(x) % 2", "(f(x) % 2)"),
                ("-x", "(-x)"), ("x[1:2]", "x[1:2]"), ("max(a, -b)", "max(a, -b)")):
            self.assertEqual(atom(code), wanted)


class HeldOut(unittest.TestCase):
    def setUp(self) -> None:
        with gzip.open(COMMITTED, "rt", encoding="utf-8") as f:
            self.problems = [json.loads(line) for line in f]

    def test_the_committed_file_is_what_the_script_makes(self) -> None:
        self.assertEqual(
            [json.loads(line) for line in heldout.lines(heldout.choose(heldout.SEED, heldout.WANTED))], self.problems)

    def test_form_and_solutions(self) -> None:
        self.assertGreaterEqual(len(self.problems), 300)
        self.assertEqual(len({p["task_id"] for p in self.problems}), len(self.problems))
        for p in self.problems:
            space: dict = {}
            exec(p["prompt"] + p["canonical_solution"] + "\n" + p["test"], space)
            space["check"](space[p["entry_point"]])

    def test_no_family_or_composition_of_training(self) -> None:
        trained = {(e.family, e.composition) for e in training(1, 3000)}
        self.assertFalse(trained & {(p["family"], p["composition"]) for p in self.problems})
        families = {f for f, _ in trained}
        self.assertFalse([p["family"] for p in self.problems if p["split"] == "family" and p["family"] in families])

    def test_the_bytes(self) -> None:
        import subprocess
        import sys
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "h.jsonl.gz"
            subprocess.run(
                [sys.executable, "-m", "phitools.exercises.heldout", "heldout", str(target)], check=True,
                cwd=COMMITTED.parents[2])
            self.assertEqual(gzip.decompress(target.read_bytes()), gzip.decompress(COMMITTED.read_bytes()))


if __name__ == "__main__":
    unittest.main()
