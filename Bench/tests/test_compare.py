"""Tests of what `python -m compare` refuses, before it builds or measures anything."""
import json
import unittest
from unittest.mock import patch

from refusals import RefusalTests, files, put

from compare import __main__ as compare
from compare.table import BEGIN, END

DATA = {
    "setting": {
        "machine": {"cpu": "Some CPU", "cores": 2, "virtual": True, "memory_gb": None, "flags": []}, "threads": 2,
        "isa": "native"},
    "date": "2026-11-24T21:15:00Z", "versions": {}, "commands": {}, "failures": {},
    "samples": [{"round": 0, "contender": "swift-phi q4", "case": "tg128", "value": 60.0}]}


class CompareRefusalTests(RefusalTests):
    def setUp(self) -> None:
        super().setUp()
        put("results.json", json.dumps(DATA))
        put("page.md", f"a\n{BEGIN}\n{END}\n")

    def test_reports(self) -> None:
        put("text.json", "no json")
        put("other.json", "[]")
        put("sample.json", json.dumps(DATA | {"samples": [{"value": 1}]}))
        put("setting.json", json.dumps(DATA | {"setting": {}}))
        put("plain.md", "a page")
        put("below/page.md", f"{BEGIN}\n{END}\n")
        put("results.md", "old")
        before = files()
        with patch.object(compare, "draw") as drawn:
            for arguments, words in (
                    ("nofile", ["nofile: no such file"]), ("text.json", ["text.json: is not JSON"]),
                    ("other.json", ["other.json: is not a file of results"]),
                    ("sample.json", ["sample.json: is not a file of results"]),
                    ("setting.json", ["setting.json: lacks the machine"]),
                    ("results.json --readme nofile", ["nofile: no such file"]),
                    ("results.json --readme plain.md", ["plain.md: the page has no marks"]),
                    ("results.json --readme below/page.md", ["below/page.md: results.json is not below"])):
                with self.subTest(arguments):
                    self.refused(compare.main, f"report {arguments}", "compare: ", *words)
                    self.assertEqual(files(), before)
            drawn.assert_not_called()
            drawn.side_effect = ModuleNotFoundError(name="matplotlib")
            self.refused(compare.main, "report results.json --readme page.md", "needs the package matplotlib")
            self.assertEqual(files(), before)

    def test_runs(self) -> None:
        put("phi", "#!/bin/sh\ntouch started\n", executable=True)
        put("plain.md", "a page")
        before = files()
        with (patch.object(compare, "BENCH", compare.Path.cwd()), patch.object(compare, "prepare") as prepared,
                patch.object(compare, "find_spec", side_effect=bool)):
            for arguments, words in (
                    ("--rounds 0", ["--rounds", "'0'"]), ("--threads 0", ["--threads", "'0'"]),
                    ("--peers ,", ["--peers", "names none"]), ("--peers other", ["unknown: other"]),
                    ("--peers ik_llama.cpp", ["--ik-llama"]), ("--cases other", ["unknown: other"]),
                    ("--name a/b", ["--name", "'a/b'"]), ("--phi nofile", ["nofile: no such program; make build"]),
                    ("--tokenizer nofolder", ["nofolder: no such folder"]), ("--tokenizer .", ["tokenizer.json"]),
                    ("--ik-llama nofolder", ["nofolder: no such folder"]), ("--ik-llama .", ["bin/llama-bench"]),
                    ("--folder phi", ["phi", "not a folder"]), ("--readme nofile", ["nofile: no such file"]),
                    ("--readme plain.md", ["plain.md: the page has no marks"])):
                with self.subTest(arguments):
                    given = f"run --folder bench --phi ./phi --name some {arguments}"
                    self.refused(compare.main, given, "compare", *words)
                    self.assertEqual(files(), before)
            put("results/some.json", "no json")
            self.refused(compare.main, "run --folder bench --phi ./phi --name some", "results/some.json: is not JSON")
            with patch.object(compare, "find_spec", return_value=None):
                self.refused(compare.main, "run --folder bench --phi ./phi --name other", "needs the package")
            prepared.assert_not_called()


if __name__ == "__main__":
    unittest.main()
