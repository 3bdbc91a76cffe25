"""Tests of plot_eval.py: it draws reports of perplexity and of kl, and refuses anything else in one line."""
import json
import resource
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import needs

needs.packages("matplotlib")

PROGRAM = Path(__file__).resolve().parents[1] / "plot_eval.py"
MODEL = {"model": "models/phi-1.phi", "type": "q4"}
KL = MODEL | {"mean_kl": 0.1, "kl_quantile_fractions": [0, 0.5, 1], "kl_quantiles": [0.001, 0.1, 1]}
PERPLEXITY = MODEL | {
    "context": 512, "perplexity_by_window": [3.1, 3.2], "perplexity_by_window_error": [None, 0.1]}
NO_REPORT = "is no report of `phi eval perplexity --json` or `phi eval kl --json`"


class PlotEvalTests(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def plot(self, reports: dict[str, object], output: str = "out.svg") -> tuple[int, str]:
        """Return the exit status and what was printed for files with these contents."""
        for name, contents in reports.items():
            (self.folder / name).write_text(contents if isinstance(contents, str) else json.dumps(contents))
        done = subprocess.run(
            [sys.executable, PROGRAM, *reports, "-o", output], cwd=self.folder, capture_output=True, text=True)
        return done.returncode, done.stderr

    def test_draws_both_kinds(self) -> None:
        for reports in ({"a.json": KL, "b.json": KL}, {"a.json": PERPLEXITY}):
            self.assertEqual(self.plot(reports), (0, ""))
            self.assertIn("<svg", (self.folder / "out.svg").read_text())

    def test_refuses_other_input_in_one_line(self) -> None:
        for reports, line in (
                ({"a.json": KL, "b.json": MODEL | {"pass_at_1": 0.1}}, f"b.json: {NO_REPORT}"),
                ({"a.json": []}, f"a.json: {NO_REPORT}"),
                ({"a.json": KL | {"kl_quantiles": [1]}}, f"a.json: {NO_REPORT}"),
                ({"a.json": KL, "b.json": PERPLEXITY}, "b.json: is a report of perplexity, and a.json one of kl"),
                ({"a.json": "mean 0.1"}, "a.json: is not JSON")):
            self.assertEqual(self.plot(reports), (1, line + "\n"))
            self.assertFalse((self.folder / "out.svg").exists())

    def test_an_output_that_cannot_be_written(self) -> None:
        self.assertEqual(self.plot({"a.json": KL}, "no/out.svg"), (1, "no/out.svg: No such file or directory\n"))
        self.assertEqual(self.plot({"a.json": KL}, "out.png")[0], 0)
        before = (self.folder / "out.png").read_bytes()
        done = subprocess.run(
            [sys.executable, PROGRAM, "a.json", "-o", "out.png"], cwd=self.folder, capture_output=True, text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)))
        self.assertEqual((done.returncode, done.stderr.splitlines()[-1]), (1, "out.png: File too large"))
        self.assertEqual((self.folder / "out.png").read_bytes(), before)
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["a.json", "out.png"])
        self.assertEqual(self.plot({"a.json": KL}, "out")[0], 0)
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["a.json", "out.png"])
        status, line = self.plot({"a.json": KL}, "out.text")
        self.assertEqual((status, line.count("\n")), (1, 1))
        self.assertIn("out.text: Format 'text' is not supported", line)


if __name__ == "__main__":
    unittest.main()
