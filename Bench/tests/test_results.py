"""Tests of the results file: it continues, and refuses samples of another setting."""
import json
import tempfile
import unittest
from pathlib import Path

from compare.processes import Failed
from compare.results import Results


class ResultsTests(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.path = Path(scratch.name) / "results" / "x.json"

    def test_a_run_that_was_cut_off_goes_on(self):
        first = Results(self.path, {"commit": "a", "threads": 2})
        first.add(0, "swift-phi q4", "pp512", "phi bench", 100.0, {"read_gbps": 40.0})
        again = Results(self.path, {"commit": "a", "threads": 2})
        self.assertTrue(again.has(0, "swift-phi q4", "pp512"))
        self.assertFalse(again.has(1, "swift-phi q4", "pp512"))
        self.assertFalse(again.has(0, "swift-phi q4", "pp1920"))

    def test_another_commit_is_another_file(self):
        Results(self.path, {"commit": "a"}).fail("openvino", "not installed")
        with self.assertRaises(Failed):
            Results(self.path, {"commit": "b"})

    def test_every_sample_and_command_is_kept(self):
        file = Results(self.path, {"commit": "a"})
        for number in range(3):
            file.add(number, "p", "tg128", "p -n 128", float(number), {})
        data = json.loads(self.path.read_text())
        self.assertEqual([sample["value"] for sample in data["samples"]], [0.0, 1.0, 2.0])
        self.assertEqual(data["commands"], {"p": {"tg128": "p -n 128"}})


if __name__ == "__main__":
    unittest.main()
