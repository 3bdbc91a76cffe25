"""Tests of the data steps: filtering, manifests, determinism, resuming after a kill, an endpoint, errors."""
from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from needs import packages

packages("datatrove", "orjson", "tokenizers", "sklearn", "rapidfuzz", "torch")

import numpy as np

from phitools.data import annotate, bpe, collect, decontaminate, select
from phitools.data.__main__ import part_of
from phitools.data.pack import pack
from phitools.data.steps import read
from phitools.packed import open_stream, sha256

TOOLS = Path(__file__).resolve().parents[1]
GOOD = '''def mean(values):
    """Return the mean of values, or 0 if there are none."""
    total = 0
    for value in values:
        total += value
    if not values:
        return 0
    return total / len(values)


def largest(values):
    """Return the largest of values."""
    best = values[0]
    for value in values:
        if value > best:
            best = value
    return best
'''
POOR = (
    "import os, sys\nfrom app import api, web\n\nTABLE = {" + ", ".join(f"'k{i}': {i}" for i in range(60))
    + "}\n\n\ndef main():\n    api.register(web.Thing(sys.argv, TABLE))\n    os.path.x.y.z(api.a, api.b, web.c)\n")


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(TOOLS), "PYTHONHASHSEED": "0"}


def step(*options: str | Path, fails: bool = False) -> str:
    """Run a step; return its standard output or, if it must fail, the last line of its standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "phitools.data", *map(str, options)], env=environment(), capture_output=True, text=True)
    if fails:
        assert done.returncode == 1, done.stderr
        return done.stderr.strip().splitlines()[-1]
    assert done.returncode == 0, done.stderr
    return done.stdout


class Parts(unittest.TestCase):
    def test_rule(self) -> None:
        self.assertGreater(annotate.rule_score(GOOD), 0.9)
        self.assertLess(annotate.rule_score(POOR), 0.5)
        self.assertEqual(annotate.rule_score("def broken(:\n"), 0.0)
        self.assertEqual(annotate.rule_score("x = 1\n"), 0.0)

    def test_answers(self) -> None:
        self.assertEqual(
            [annotate.answer_label(a) for a in ("Yes.", "no", "It is: NO", "perhaps", "")], [1, 0, 0, None, None])

    def test_licences(self) -> None:
        for name in (
                "MIT", "BSD-3-Clause", "Apache Software License", "PSF-2.0", "Apache-2.0 OR BSD-3-Clause",
                "ISC License (ISCL)"):
            self.assertTrue(collect.permissive(name), name)
        for name in ("", "GPL-3.0", "LGPL", "MPL-2.0", "Proprietary", "unknown", "GNU Affero", "MIT AND GPL-2.0"):
            self.assertFalse(collect.permissive(name), name)

    def test_notices_go_code_stays(self) -> None:
        self.assertEqual(
            collect.without_notices("# Copyright 2001 Somebody\n# All rights reserved\n\n# Why this is so.\nx = 1  \n"),
            "# Why this is so.\nx = 1\n")

    def test_pieces_are_the_module(self) -> None:
        source = "\n\n".join(f"def f{i}():\n    return {i}\n" for i in range(40))
        parts = list(collect.pieces(source, 200))
        self.assertGreater(len(parts), 3)
        self.assertEqual("".join("".join(parts).split()), "".join(source.split()))

    def test_trees_ignore_names_and_docstrings_only(self) -> None:
        problem = decontaminate.Problem("b", "1", "p", GOOD)
        renamed = GOOD.replace("value", "item").replace("best", "top").replace(
            "Return the mean of items", "Something else")
        changed = GOOD.replace("total = 0", "total = 1").replace("value > best", "value < best")
        rates = decontaminate.match_rates([renamed, changed, "x = 1\n", "def (", "def g():\n    pass\n"], [problem])
        self.assertEqual(rates[0], 1.0)
        self.assertLess(0.9, rates[1])
        self.assertEqual(rates[2], 0.0)
        self.assertEqual(rates[3], 0.0)
        page = "Some prose, and then:\n\n" + renamed + "\nThis prints:\n\n3\n"
        self.assertEqual(decontaminate.match_rates([page], [problem])[0], 1.0)
        only = decontaminate.match_rates(
            [changed.split("\n\n\n")[0]], [decontaminate.Problem("b", "1", "p", GOOD.split("\n\n\n")[0])])
        self.assertTrue(0.9 < only[0] < 1, only)

    def test_thirteen_words(self) -> None:
        text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
        problem = decontaminate.Problem("b", "1", f"def f():\n    '''{text}'''", "")
        keep, report = decontaminate.judge(
            [f"x {' '.join(text.split()[1:])} y", " ".join(text.split()[:12]), "def f(): pass"], [problem], 2, 0.0)
        self.assertEqual((keep, report["13-gram"], report["removed"]), ([False, True, True], 1, 1))

    def test_forest_learns_and_reports(self) -> None:
        r = np.random.default_rng(1)
        labels = r.integers(0, 2, 400)
        vectors = r.normal(size=(400, 6)) + 2 * labels[:, None]
        _, report, _ = select.teach(vectors, labels, 1)
        self.assertGreater(report["roc_auc"], 0.95)
        self.assertEqual(report["held_out"], 80)
        with self.assertRaisesRegex(ValueError, "too few"):
            select.teach(vectors, np.ones(400, int), 1)


class Tokens(unittest.TestCase):
    def test_every_byte_and_runs_of_spaces(self) -> None:
        tokenizer = bpe.train([GOOD] * 3, 340)
        sample = bytes(range(256)).decode("latin-1") + "def f(x):\n\treturn 'é中😀'\n"
        self.assertEqual(tokenizer.decode(tokenizer.encode(sample).ids), sample)
        prompt, body = "def f():\n", "    return 1\n"
        self.assertEqual(tokenizer.encode(prompt + body).ids, tokenizer.encode(prompt).ids + tokenizer.encode(body).ids)
        self.assertEqual(bpe.end_of_text(tokenizer), 339)
        with self.assertRaisesRegex(ValueError, "more text is needed"):
            bpe.train(["ab"], 5000)

    def test_packed_is_what_was_encoded(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tokenizer = bpe.train([GOOD] * 3, 340)
            bpe.save(tokenizer, folder / "t", 64)
            totals = pack([GOOD, POOR, "x\n"], folder / "t", folder / "p", tokens_per_shard=100)
            stream = open_stream([folder / "p"], sha256(folder / "t" / "tokenizer.json"), True)
            wanted = [i for text in (GOOD, POOR, "x\n") for i in [*tokenizer.encode(text).ids, 339]]
            self.assertEqual(stream.span(0, len(stream)).tolist(), wanted)
            self.assertEqual(totals, {"documents": 3, "tokens": len(wanted)})
            with self.assertRaisesRegex(ValueError, "another tokenizer"):
                open_stream([folder / "p"], "0", True)


class Endpoint(BaseHTTPRequestHandler):
    """An OpenAI-compatible server that counts requests and fails the first."""

    requests = 0

    def do_POST(self) -> None:
        type(self).requests += 1
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body["messages"][0]["content"]
        answer = (
            "Yes" if "mean" in text
            else "No") if "educational value" in text else f"def answer():\n    return {len(text)}\n"
        data = json.dumps(
            {
                "id": "1", "object": "chat.completion", "model": body["model"],
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer}}],
                           "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        data = b'{"object": "list", "data": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


class Steps(unittest.TestCase):
    def setUp(self) -> None:
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = Path(self.scratch.name)
        source = self.folder / "source"
        source.mkdir()
        for i in range(6):
            (source / f"good{i}.py").write_text(
                GOOD.replace("mean", f"mean{i}").replace("largest", f"largest{'abcdef'[i] * 9}"))
            (source / f"poor{i}.py").write_text(
                POOR.replace("Thing", f"Thing{i * 1111}").replace("'k", f"'{'uvwxyz'[i]}"))
        (source / "copy.py").write_text((source / "good0.py").read_text())
        (source / "near.py").write_text(
            (source / "good1.py").read_text().replace("Return the largest", "Returns the largest"))
        (source / "bad.py").write_bytes(b"\xff\xfe" * 200)
        self.source = source

    def texts(self, name: str) -> list[str]:
        return [d.text for d in read(self.folder / name)]

    def test_collect_dedup_annotate_and_the_same_bytes_again(self) -> None:
        f = self.folder
        for end in ("1", "2"):
            step("collect", "--folder", f"{self.source}:MIT", "--out", f / f"code{end}", "--tasks", "2")
            step("dedup", "--input", f / f"code{end}", "--out", f / f"unique{end}", "--tasks", "2", "--workers", "1")
            step("annotate", "--input", f / f"unique{end}", "--out", f / f"annotated{end}")
        self.assertEqual(len(self.texts("code1")), 14)
        unique = self.texts("unique1")
        self.assertEqual(len(unique), len(set(unique)))
        self.assertLess(len(unique), 14)
        self.assertTrue(any("mean1" in t for t in unique))
        labels = {d.text: d.metadata["label"] for d in read(f / "annotated1")}
        self.assertEqual({t: int("mean" in t) for t in labels}, labels)
        self.assertEqual(json.loads((f / "code1" / "licences.json").read_text()), {"source: MIT": 14})
        for name in ("code", "annotated", "unique"):
            a, b = (json.loads((f / f"{name}{e}" / "manifest.json").read_text()) for e in "12")
            self.assertEqual((a["files"], a["counts"]), (b["files"], b["counts"]), name)

    def test_no_licence_no_text(self) -> None:
        step("collect", "--folder", str(self.source), "--out", self.folder / "code")
        self.assertEqual(self.texts("code"), [])

    def test_complete_steps_are_left_and_others_refused(self) -> None:
        options = ("textbooks", "--count", "20", "--out", self.folder / "t")
        step(*options)
        before = (self.folder / "t" / "manifest.json").stat().st_mtime_ns
        step(*options)
        self.assertEqual((self.folder / "t" / "manifest.json").stat().st_mtime_ns, before)
        self.assertRegex(step(*options, "--seed", "2", fails=True), "other options")
        self.assertEqual(len(self.texts("t")), 20)
        for text in self.texts("t"):
            self.assertIn("This prints:", text)

    def test_killed_and_started_again_it_gives_the_same(self) -> None:
        options = ("exercises", "--count", "1200", "--tasks", "4", "--out")
        process = subprocess.Popen(
            [sys.executable, "-m", "phitools.data", *map(str, options), str(self.folder / "killed")], env=environment(),
            stderr=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not list((self.folder / "killed").glob("logs/run/completions/*")):
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)  # datatrove's helper process too
        process.wait()
        self.assertFalse((self.folder / "killed" / "manifest.json").exists())
        step(*options, self.folder / "killed")
        step(*options, self.folder / "whole")
        self.assertEqual(self.texts("killed"), self.texts("whole"))
        self.assertEqual(len(set(self.texts("whole"))), 1200)

    def test_endpoint_labels_and_writes_and_answers_are_kept(self) -> None:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}"
        step("collect", "--folder", f"{self.source}:MIT", "--out", self.folder / "code")
        step(
            "annotate", "--input", self.folder / "code", "--out", self.folder / "asked", "--endpoint", url, "--model",
            "m")
        self.assertEqual(
            sorted(d.metadata["label"] for d in read(self.folder / "asked")),
            sorted(int("mean" in t) for t in self.texts("code")))
        for kind in ("textbooks", "exercises"):
            step(kind, "--count", "5", "--out", self.folder / kind, "--endpoint", url, "--model", "m")
            self.assertEqual([t.startswith("def answer") for t in self.texts(kind)], [True] * 5)

    def test_decontaminate_removes_what_is_planted(self) -> None:
        heldout = TOOLS / "exercises" / "heldout.jsonl.gz"
        with gzip.open(heldout, "rt") as f:
            problem = json.loads(f.readline())
        step("exercises", "--count", "40", "--out", self.folder / "e")
        shard = self.folder / "e" / "documents" / "00000.jsonl"
        planted = problem["prompt"] + problem["canonical_solution"]
        shard.write_text(shard.read_text() + json.dumps({"text": planted, "id": "00", "metadata": {}}) + "\n")
        step(
            "decontaminate", "--input", self.folder / "e", "--benchmark", heldout, "--tau", "1", "--out",
            self.folder / "clean")
        self.assertNotIn(planted, self.texts("clean"))
        report = json.loads((self.folder / "clean" / "report.json").read_text())
        self.assertEqual(report["documents"], 41)
        self.assertGreaterEqual(report["same tree"], 1)
        self.assertEqual(list(report["tau"]), ["0.95", "0.9", "0.85", "0.8"])

    def test_faults_are_one_line(self) -> None:
        self.assertRegex(
            step("annotate", "--input", self.folder / "none", "--out", self.folder / "x", fails=True),
            "none/manifest.json: missing")
        step("textbooks", "--count", "3", "--out", self.folder / "t")
        shard = self.folder / "t" / "documents" / "00000.jsonl"
        shard.write_text(shard.read_text()[:-30])
        self.assertRegex(
            step(
                "tokenizer", "--input", self.folder / "t", "--vocabulary", "300", "--out", self.folder / "y",
                fails=True), "00000.jsonl, line 3: not a document")
        (self.folder / "p.jsonl").write_text('{"task_id": 1}\n')
        with self.assertRaisesRegex(ValueError, "p.jsonl, line 1: not a problem"):
            decontaminate.problems(self.folder / "p.jsonl")

    def test_parts_are_a_split(self) -> None:
        ids = [f"{i:020x}" for i in range(5000)]
        share = sum(part_of(i) == "validation" for i in ids) / len(ids)
        self.assertTrue(0.01 < share < 0.03, share)


if __name__ == "__main__":
    unittest.main()
