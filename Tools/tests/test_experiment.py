"""The experiment's parts: controls, mutants, mixtures, and the statistics of its report."""
from __future__ import annotations

import ast
import tempfile
import unittest
from pathlib import Path
from typing import Any

from needs import packages

packages("datatrove", "orjson", "tokenizers", "rapidfuzz")

import numpy as np

from phitools.data import bpe
from phitools.data.decontaminate import grams
from phitools.experiment import measures, mix, pairs, plan, pools, report

MODULE = '''import os


def area(w, h):
    """Return the area.

    Both are lengths.
    """
    return w * h


class Box:
    def name(self) -> str:
        """Return the name."""
        # as given
        return self._name

    def bare(self):
        return 1

    def only(self):
        """Nothing else."""
'''


class Controls(unittest.TestCase):
    def test_reshaped_functions_keep_their_content(self) -> None:
        self.assertEqual(list(pools.functions(MODULE)), [
            'def area(w, h):\n    """Return the area."""\n    return w * h\n',
            'def name(self) -> str:\n    """Return the name."""\n    # as given\n    return self._name\n'])
        self.assertEqual(list(pools.functions("def broken(:\n")), [])

    def test_shuffling_moves_explanations_only(self) -> None:
        pages = [f"# T\n\nadvice {i}\n\nexplains {i}.\n\ndef f{i}():\n    return {i}\n\nThis prints:\n\n{i}\n"
                 for i in range(9)]
        turned = pools.shuffled(pages, 1)
        self.assertNotEqual(turned, pages)
        self.assertEqual([p.replace("explains", "") != q.replace("explains", "") for p, q in zip(pages, turned)].count(
            True), sum(p != q for p, q in zip(pages, turned)))
        self.assertEqual(sorted("".join(pages)), sorted("".join(turned)))
        for i, page in enumerate(turned):
            self.assertIn(f"def f{i}():\n    return {i}\n\nThis prints:\n\n{i}\n", page)


class Mutants(unittest.TestCase):
    def test_one_token_of_the_solution_changes(self) -> None:
        before = "def f(a, b):\n    '''a < b'''\n"
        solution = "    if a < b and b > 0:\n        return a + 1\n    return b\n"
        found = pairs.mutants(before, solution)
        self.assertEqual(len(set(found)), len(found))
        for text in found:
            ast.parse(before + text)
            a, b = text.replace("\n", " \n ").split(" "), solution.replace("\n", " \n ").split(" ")
            self.assertEqual(sum(x != y for x, y in zip(a, b, strict=True)), 1, text)
        for wanted in ("a <= b", "or b > 0", "return a - 1", "a + 2", "a + 0", "return a\n"):
            self.assertTrue(any(wanted in text for text in found), wanted)
        self.assertEqual(pairs.mutants("def f(:\n", "    return (\n"), [])


class Mixtures(unittest.TestCase):
    def setUp(self) -> None:
        self.texts = [f"def function{i}(x):\n    return x + {i}\n" for i in range(400)]
        with tempfile.TemporaryDirectory() as name:
            bpe.save(bpe.train(self.texts, 300), Path(name), 64)
            self.tokenizer = bpe.load(Path(name))

    def tokens(self, texts: list[str]) -> int:
        return sum(len(self.tokenizer.encode(t).ids) + 1 for t in texts)

    def test_shares_and_nested_budgets(self) -> None:
        a, b = self.texts[:200], self.texts[200:]
        drawn = mix.draw([("a", a, 0.75), ("b", b, 0.25)], self.tokenizer, 2000, 1, set())
        self.assertEqual(len(set(drawn)), len(drawn))
        self.assertTrue(1500 <= self.tokens([t for t in drawn if t in a]) < 1540)
        self.assertTrue(500 <= self.tokens([t for t in drawn if t in b]) < 540)
        def only(tokens: int, seed: int) -> set[str]:
            return set(mix.draw([("a", a, 1.0)], self.tokenizer, tokens, seed, set()))
        self.assertLess(only(1000, 1), only(2000, 1))
        self.assertNotEqual(only(1000, 1), only(1000, 2))

    def test_no_repetition_and_nothing_of_a_benchmark(self) -> None:
        with self.assertRaisesRegex(ValueError, "a: holds .* tokens, 1000000 are needed"):
            mix.draw([("a", self.texts, 1.0)], self.tokenizer, 1_000_000, 1, set())
        said = "# one two three four five six seven eight nine ten eleven twelve thirteen\n"
        drawn = mix.draw([("a", [said + "x = 1\n", *self.texts], 1.0)], self.tokenizer, 5000, 1, grams(said))
        self.assertFalse(any(said in t for t in drawn))


def made_up(effect: dict[str, float], seeds: int = 3) -> dict[str, Any]:
    """Return measures in which raw loses 0.1 bit a byte with each size and each doubling of tokens, and an arm differs
    from raw of its size by `effect`, with noise by problem and seed."""
    r = np.random.default_rng(5)
    sizes, bytes_ = ["XS", "S", "M"], [int(n) for n in r.integers(50, 400, 164)]
    easy = r.normal(0, 0.3, 164)
    found: dict[str, Any] = {
        "sizes": sizes, "tokens": 1, "parameters": {"XS": 100, "S": 200, "M": 400}, "runs": {},
        "bytes": dict.fromkeys(("humaneval", "mbpp", "heldout"), bytes_),
        "tasks": {m: list(range(164)) for m in ("humaneval", "mbpp")}}
    for arm in plan.ARMS:
        for i, size in enumerate(sizes):
            for seed in range(seeds):
                rate = 2.0 - 0.1 * i + effect.get(arm, 0.0) + easy + r.normal(0, 0.005) + r.normal(0, 0.02, 164)
                bits = [float(b * x) for b, x in zip(bytes_, rate)]
                found["runs"][f"{arm}-{size}-{seed}"] = {
                    "arm": arm, "size": size, "seed": seed, "bits": dict.fromkeys(found["bytes"], bits),
                    "pairs": {m: [i % 2 for i in range(164)] for m in found["tasks"]}}
    return found


EFFECT = {"filtered": -0.05, "textbooks": -0.15, "dose15": -0.15, "dose50": -0.08, "dose85": 0.1, "reshaped": -0.04,
          "shuffled": -0.02, "raw-x2": -0.1, "raw-x4": -0.2}


class Report(unittest.TestCase):
    def test_rates_of_a_known_effect(self) -> None:
        a = report.Analysis(made_up(EFFECT))
        k, q = a.parameter_rate("filtered", "S"), a.token_rate("filtered", "S")
        self.assertAlmostEqual(k.value, 2 ** 0.5, delta=0.1)
        self.assertAlmostEqual(q.value, 2 ** 0.5, delta=0.1)
        for rate in (k, q):
            low, high = rate.interval
            self.assertTrue(1 < low < rate.value < high < 2, (low, high))
        self.assertTrue(a.parameter_rate("textbooks", "S").shown(2).startswith("≥ 2.00"))
        self.assertAlmostEqual(a.parameter_rate("raw", "S").value, 1)

    def test_criteria_decide_both_ways(self) -> None:
        def verdicts(effect: dict[str, float]) -> list[str]:
            return [line.split("**")[1] for line in report.criteria(report.Analysis(made_up(effect))).split("\n")[:6]]
        self.assertEqual(verdicts(EFFECT), ["supported"] + ["holds"] * 5)
        self.assertEqual(verdicts({}), ["refuted"] + ["does not hold"] * 5)
        self.assertEqual(verdicts(EFFECT | {"textbooks": -0.1, "reshaped": -0.1})[:2], ["undecided", "does not hold"])

    def test_what_is_missing_is_said_and_files_are_the_same(self) -> None:
        whole = made_up(EFFECT, seeds=1)
        whole["runs"] = {n: r for n, r in whole["runs"].items() if r["arm"] in ("raw", "textbooks", "dose15")}
        text = report.text(report.Analysis(whole))
        self.assertIn("preliminary: 1 of 3 seeds", text)
        self.assertEqual(text.count("not measured**"), 4, text)
        with tempfile.TemporaryDirectory() as name:
            path, again = Path(name) / "m.json.gz", Path(name) / "n.json.gz"
            measures.save(whole, path)
            measures.save(measures.load(path), again)
            self.assertEqual(path.read_bytes(), again.read_bytes())
            self.assertEqual(report.text(report.Analysis(measures.load(path))), text)
            path.write_text("{}")
            with self.assertRaisesRegex(ValueError, "not a file of measures"):
                measures.load(path)


class Plan(unittest.TestCase):
    def test_equal_budgets_and_no_unknown_needs(self) -> None:
        files = {"humaneval": Path("/h"), "mbpp": Path("/m")}
        for scale in plan.SCALES.values():
            jobs = plan.jobs(plan.Options(Path("/x"), Path("/phi"), files, scale))
            names = [j.name for j in jobs]
            self.assertEqual(len(set(names)), len(names))
            for job in jobs:
                self.assertFalse(set(job.needs) - set(names), job.name)
            budgets = {
                tuple(x for x in j.command("python") if x.startswith(("schedule.steps", "batch."))) for j in jobs
                if j.name.startswith("train ") and "-x" not in j.name}
            self.assertEqual(len(budgets), 1)
            clean = [j.command("python") for j in jobs if j.name.startswith("packed/dose")]
            self.assertTrue(all("/clean-exercises:" in " ".join(c) for c in clean) and clean)
        self.assertEqual(len(plan.runs(plan.SCALES["cpu"], (1, 2, 3))), 3 * 26)
        self.assertTrue(all(abs(sum(s for _, s in a.pools) - 1) < 1e-9 for a in plan.ARMS.values()))

    def test_products_of_other_options_are_not_mixed(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x" / "scale.json"
            plan.keep(path, {"scale": "gpu"}, False)
            self.assertFalse(path.exists())
            plan.keep(path, {"scale": "cpu"}, True)
            plan.keep(path, {"scale": "cpu"}, True)
            with self.assertRaisesRegex(ValueError, "was made with {'scale': 'cpu'}, not {'scale': 'gpu'}"):
                plan.keep(path, {"scale": "gpu"}, False)


if __name__ == "__main__":
    unittest.main()
