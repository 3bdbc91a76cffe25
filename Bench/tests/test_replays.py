"""Tests of the texts of replays.py, on problems written here."""
import contextlib
import gzip
import io
import json
import tempfile
import unittest
from pathlib import Path

from refusals import RefusalTests, files, put

import replays

HUMAN_EVAL = {
    "task_id": "HumanEval/0", "entry_point": "twice", "prompt": 'def twice(x):\n    """Doubles."""\n',
    "canonical_solution": "    return 2 * x\n", "test": "\n\ndef check(candidate):\n    assert candidate(1) == 2\n"}
MBPP = {"text": "Doubles.", "code": "def twice(x):\r\n    return 2 * x ", "test_list": ["assert twice(1) == 2"]}


class ReplaysTests(unittest.TestCase):
    def test_solutions_and_tests(self) -> None:
        self.assertEqual(
            replays.human_eval(HUMAN_EVAL),
            {"prompt": HUMAN_EVAL["prompt"], "completion": "    return 2 * x\n"})
        self.assertEqual(
            replays.mbpp(MBPP),
            {"prompt": '"""\nDoubles.\nassert twice(1) == 2\n"""\n', "completion": "def twice(x):\n    return 2 * x\n"})
        made = replays.tests(HUMAN_EVAL)
        self.assertTrue(made["prompt"].endswith("    return 2 * x\n\n\n# Tests of twice\n"))
        self.assertTrue(made["completion"].startswith("def check(candidate):\n"))

    def test_edits(self) -> None:
        solution = replays.code(MBPP)
        self.assertEqual(
            replays.edit(solution, 0),
            {"prompt": solution + "\n\n# Rename the argument x of twice to x_value.\n\n",
             "completion": "def twice(x_value):\n    return 2 * x_value\n"})
        checked = replays.edit(solution, 1)
        self.assertEqual(
            checked["completion"],
            "def twice(x):\n    if x is None:\n        raise ValueError('x is None')\n    return 2 * x\n")
        self.assertIsNone(replays.edit("x = 1\n", 0))

    def test_texts_are_spread_and_the_same_each_time(self) -> None:
        texts = [{"prompt": str(number), "completion": ""} for number in range(10)]
        self.assertEqual([text["prompt"] for text in replays.every([*texts, None], 3)], ["0", "3", "6"])
        self.assertEqual(replays.random_text(1), replays.random_text(1))
        self.assertNotEqual(replays.random_text(1), replays.random_text(2))

    def test_repetitions_mislead(self) -> None:
        made = replays.misleading(3)
        lines = (made["prompt"] + made["completion"]).splitlines()
        self.assertEqual(len({line.split()[0] for line in lines}), 1)
        self.assertGreater(len({tuple(line.split()[6:]) for line in lines}), 30)

    def test_files(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            problems, out = Path(folder) / "HumanEval.jsonl.gz", Path(folder) / "out"
            problems.write_bytes(gzip.compress(json.dumps(HUMAN_EVAL).encode()))
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                replays.main(["--human-eval", str(problems), "--out", str(out), "--limit", "2"])
            self.assertEqual(
                sorted(path.name for path in out.iterdir()),
                ["humaneval.jsonl", "misleading.jsonl", "random.jsonl", "tests.jsonl"])
            self.assertIn("humaneval.jsonl", printed.getvalue())
            self.assertEqual(json.loads((out / "humaneval.jsonl").read_text()), replays.human_eval(HUMAN_EVAL))
            self.assertEqual(len((out / "random.jsonl").read_text().splitlines()), 2)


class ReplaysRefusalTests(RefusalTests):
    def test_faults_leave_all_files_as_they_are(self) -> None:
        put("he.jsonl", json.dumps(HUMAN_EVAL))
        put("mbpp.jsonl", json.dumps(MBPP))
        put("text.jsonl", "no json\n")
        put("array.jsonl", "[1]\n")
        put("binary.jsonl", b"\xff\xfe\x00")
        put("empty.jsonl")
        put("cut.jsonl.gz", gzip.compress(json.dumps(HUMAN_EVAL).encode())[:-12])
        put("no.jsonl.gz", "plain")
        put("numbers.jsonl", json.dumps(MBPP | {"test_list": [1]}))
        put("statement.jsonl", json.dumps(MBPP | {"code": "x = 1"}))
        put("out/random.jsonl", "old\n")
        before = files()
        for arguments, words in (
                ("--limit 0", ["--limit", "'0'", "1 or more"]), ("--limit many", ["--limit", "'many'"]),
                ("--human-eval nofile", ["nofile: no such file"]), ("--mbpp out", ["out: is not a file"]),
                ("--mbpp he.jsonl", ["he.jsonl: line 1 has no 'text'", "test_list"]),
                ("--human-eval he.jsonl --mbpp he.jsonl", ["he.jsonl: line 1 has no 'text'"]),
                ("--human-eval mbpp.jsonl", ["mbpp.jsonl: line 1 has no 'prompt'"]),
                ("--mbpp numbers.jsonl", ["numbers.jsonl: line 1 has no 'test_list'"]),
                ("--mbpp statement.jsonl", ["statement.jsonl: no 'code'"]),
                ("--mbpp text.jsonl", ["text.jsonl: line 1 is not an object"]),
                ("--mbpp array.jsonl", ["array.jsonl: line 1 is not an object"]),
                ("--mbpp binary.jsonl", ["binary.jsonl: is not a text"]),
                ("--mbpp empty.jsonl", ["empty.jsonl: is empty"]),
                ("--human-eval cut.jsonl.gz", ["cut.jsonl.gz: is no complete gzip file"]),
                ("--human-eval no.jsonl.gz", ["no.jsonl.gz: is no complete gzip file"]),
                ("--out he.jsonl", ["he.jsonl", "not a folder"])):
            with self.subTest(arguments):
                self.refused(replays.main, f"--out out {arguments}", "replays: ", *words)
                self.assertEqual(files(), before)


if __name__ == "__main__":
    unittest.main()
