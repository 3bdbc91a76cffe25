"""Tests of medians, ratios and tables."""
import json
import unittest
from pathlib import Path

from compare.cases import BY_NAME
from compare.table import BEGIN, END, better, figures, insert_results, keep, medians, page, ratios


def results(*samples, failures=None):
    return {
        "setting": {
            "machine": {"cpu": "Some CPU", "cores": 2, "virtual": True, "memory_gb": 8.0, "flags": ["avx2"]},
            "threads": 2, "isa": "native", "commit": "0123456789"},
        "date": "2026-11-24T21:15:00Z", "versions": {"swift-phi q4": "0123456789"}, "commands": {},
        "failures": failures or {},
        "samples": [
            {"round": number, "contender": contender, "case": case, "value": value, **more}
            for number, contender, case, value, more in samples],
    }


class MediansTests(unittest.TestCase):
    def test_middle_of_odd_and_even(self):
        data = results(
            *((n, "a", "pp512", v, {}) for n, v in enumerate([3.0, 1.0, 2.0])),
            *((n, "b", "pp512", v, {}) for n, v in enumerate([4.0, 1.0])))
        self.assertEqual(medians(data), {("a", "pp512"): 2.0, ("b", "pp512"): 2.5})

    def test_better_is_above_one(self):
        for name, ours, theirs, expected in [
                ("pp512", 300, 100, 3), ("first token", 0.2, 1.0, 5), ("memory", 32, 64, 2)]:
            data = results((0, "a", name, ours, {}), (0, "b", name, theirs, {}))
            self.assertEqual(better(data, "a", "b", BY_NAME[name]), expected)

    def test_ratios_are_of_one_round(self):
        # The second round was slow for both, the third for none: three times as fast in each, which no medians of four
        # would say.
        pairs = [(0, 30.0, 10.0), (1, 6.0, 2.0), (2, 60.0, 20.0)]
        data = results(
            *((n, "a", "tg128", ours, {}) for n, ours, _ in pairs),
            *((n, "b", "tg128", theirs, {}) for n, _, theirs in pairs),
            (3, "a", "tg128", 90.0, {}))
        self.assertEqual(better(data, "a", "b", BY_NAME["tg128"]), 3)
        self.assertIsNone(better(data, "a", "c", BY_NAME["tg128"]))

    def test_keep_needs_both(self):
        self.assertEqual(keep(results((0, "a", "tg128", 40.0, {}), (0, "a", "tg128 @ d1024", 30.0, {})), "a"), 0.75)
        self.assertIsNone(keep(results((0, "a", "tg128", 40.0, {})), "a"))


class TableTests(unittest.TestCase):
    data = results(
        (0, "swift-phi q4", "tg128", 60.0, {"read_share": 0.9, "read_gbps": 42.0}),
        (0, "llama.cpp Q4_0", "tg128", 40.0, {}),
        (0, "OpenVINO GenAI int4", "tg128", 50.0, {}),
        (0, "swift-phi q4", "first token", 0.1, {}),
        (0, "llama.cpp Q4_0", "first token", 0.8, {}),
        failures={"transformers bf16": "no module | named torch", "OpenVINO GenAI int4": "ended with 1"})

    def test_ratios_name_the_first_and_the_best_peer(self):
        self.assertIn(
            "| q4, decode 128 | 60.0 tok/s | 1.50 x Q4_0 | 1.20 x OpenVINO GenAI int4 | 0.90 of 42.0 GB/s |",
            ratios(self.data))
        self.assertIn("| 0.100 s | 8.00 x Q4_0 |", ratios(self.data))

    def test_a_failed_peer_is_a_row_and_not_hidden(self):
        self.assertIn("| transformers bf16 | failed: no module / named torch | - |", figures(self.data))
        self.assertIn("Failed in part: OpenVINO GenAI int4: ended with 1.", page(self.data, "x.svg"))

    def test_rows_have_as_many_cells_as_the_heading(self):
        for table in (figures(self.data), ratios(self.data)):
            self.assertEqual(len({line.count("|") for line in table.splitlines()}), 1)

    def test_nothing_measured_is_still_a_page(self):
        self.assertIn("medians of 0 rounds", page(results(), "x.svg"))

    def test_cases_of_fewer_rounds_are_named(self):
        data = results(
            *((n, "a", "pp512", 1.0, {}) for n in range(3)), (0, "a", "pp1920", 1.0, {}), (0, "a", "memory", 1.0, {}))
        self.assertIn(
            "medians of 3 rounds in turn (of 1 round for prefill 1920, memory beyond file and KV cache), ratios",
            page(data, "x.svg").replace("\n", " "))

    def test_only_the_marked_part_is_replaced(self):
        self.assertEqual(insert_results(f"a\n{BEGIN}\nold\n{END}\nb\n", "new\n"), f"a\n{BEGIN}\n\nnew\n\n{END}\nb\n")
        with self.assertRaises(ValueError):
            insert_results("a page without marks", "new")


class ReadmeTests(unittest.TestCase):
    def test_the_pages_figures_are_the_results(self):
        bench = Path(__file__).resolve().parents[1]
        readme = (bench / "README.md").read_text()
        part = readme.partition(BEGIN)[2].partition(END)[0]
        names = [line.partition("](")[2].rstrip(")") for line in part.splitlines() if line.startswith("![")]
        for name in names:
            data = json.loads((bench / name).with_suffix(".json").read_text())
            self.assertEqual(insert_results(readme, page(data, name)), readme)
        self.assertTrue(names or "no results" in part.lower())


if __name__ == "__main__":
    unittest.main()
