"""Tests of the data steps: filtering, manifests, determinism, resuming after a kill, an endpoint, errors."""
from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock
from collections import Counter
from pathlib import Path
from typing import Any

from needs import packages

packages("datatrove", "orjson", "tokenizers", "sklearn", "rapidfuzz", "torch")

import numpy as np
from datatrove.data import Document

from phitools.data import __main__ as main
from phitools.data import annotate, bpe, collect, decontaminate, select, steps
from phitools.data.__main__ import part_of
from phitools.data.pack import pack, solution_start
from phitools.data.steps import finish, read
from phitools.durable import check_free, locked, write_folder
from phitools.exercises import heldout
from phitools.exercises.tasks.first_course import NAMES
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

    def test_licences(self) -> None:
        for name in (
                "MIT", "BSD-3-Clause", "Apache Software License", "PSF-2.0", "Apache-2.0 OR BSD-3-Clause",
                "ISC License (ISCL)"):
            self.assertTrue(collect.permissive(name), name)
        for name in (
                "", "GPL-3.0", "LGPL", "MPL-2.0", "Proprietary", "unknown", "GNU Affero", "MIT AND GPL-2.0",
                "CC-BY-4.0", "MIT with Commons Clause", "None"):
            self.assertFalse(collect.permissive(name), name)
        self.assertTrue(collect.permissive_file("# SPDX-License-Identifier: MIT\nx = 1\n"))
        for head in ("# SPDX-License-Identifier: GPL-2.0-only\n", "# under the GNU Affero General Public License\n"):
            self.assertFalse(collect.permissive_file(head + "x = 1\n"), head)

    def test_of_several_licences_all_are_to_be_permissive(self) -> None:
        for name in ("MIT AND ISC", "Apache License, Version 2.0", "BSD, 3-clause", "BSD-3-Clause AND CC0-1.0"):
            self.assertTrue(collect.permissive(name), name)
        for name in ("MIT AND MS-PL", "MIT, unknown", "mit; other", collect.row_licence(["mit", "ms-pl"])):
            self.assertFalse(collect.permissive(name), name)

    def test_heads_of_files_that_restrict(self) -> None:
        for head in (
                "This Source Code Form is subject to the terms of the Mozilla Public\n# License, v. 2.0.", "MPL-2.0",
                "Licensed under the GPLv3", "GPL version 2", "GNU AGPL", "LGPL-2.1-or-later", "under the EUPL v1.2",
                "CC-BY-NC 4.0", "CC BY-SA", "Proprietary and confidential", "Copyright 2020 X. All rights\n# reserved.",
                "All Rights Reserved. Unauthorized copying of this file is strictly prohibited.",
                "SPDX-License-Identifier: MIT AND GPL-2.0", "GNU Lesser General\n# Public License"):
            self.assertFalse(collect.permissive_file(f"# {head}\nx = 1\n"), head)
        for head in (
                "All rights reserved.\n# Redistribution and use in source and binary forms are permitted",
                "All rights reserved. Use is governed by a BSD-style license that is in LICENSE.",
                "Copyright X. All Rights Reserved.\n# Licensed to PSF under a Contributor Agreement.",
                "for any purpose, commercial or non-commercial", "import matplotlib as mpl",
                "Licensed under the MIT License"):
            self.assertTrue(collect.permissive_file(f"# {head}\nx = 1\n"), head)

    def test_strings_stay_whole_and_as_they_are(self) -> None:
        text = 'A = """one  \n\n\n\n\n# Copyright\n\n\tx\n\ndef no():\n"""\n'
        code = text + "\n\nB = [\n\n1,\n]\n\ntry:\n    x = '\t'\n\nexcept ValueError:\n\tx = 1 \t\n\n\n\n\nC = 1"
        self.assertEqual(
            collect.without_notices(code.replace("\n", "\r\n")),
            text + "\n\nB = [\n\n1,\n]\n\ntry:\n    x = '\t'\n\nexcept ValueError:\n    x = 1\n\n\nC = 1\n")
        parts = list(collect.pieces(collect.without_notices(code), 1))
        self.assertEqual([p.split("\n")[0][:3] for p in parts], ["A =", "B =", "try", "C ="])
        self.assertEqual(parts[0], text)
        self.assertEqual(list(collect.pieces('x = """\n\ny', 1))[0][:1], "x")  # no Python, but no fault

    def test_rows_without_a_permissive_licence_are_left_out(self) -> None:
        licences = ["mit", ["mit", "apache-2.0"], "agpl-3.0", ["mit", "gpl-2.0"], None, "", []]
        rows = [
            Document(text=GOOD, id=str(i), metadata={"licence": collect.row_licence(licence)})
            for i, licence in enumerate(licences)]
        rows.append(Document(text="# SPDX-License-Identifier: GPL-3.0\n" + GOOD, id="g", metadata={"licence": "mit"}))
        kept = collect.Permissive()
        self.assertEqual([d.id for d in kept.run(rows)], ["0", "1"])
        self.assertEqual(
            {k: v.total for k, v in kept.stats.stats.items() if "left" in k},
            {"left out: licence": 5, "left out: licence in the file": 1})

    def test_links_and_pipes_are_left_out(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            inside, outside = Path(name) / "in", Path(name) / "outside.py"
            (Path(name) / "others").mkdir()
            inside.mkdir()
            for path in (inside / "a.py", outside, Path(name) / "others" / "b.py"):
                path.write_text(GOOD)
            (inside / "link.py").symlink_to(outside)
            (inside / "folder").symlink_to(Path(name) / "others")
            os.mkfifo(inside / "pipe.py")
            step = collect.Collect([(inside, "MIT")], False, False, 2500, 1.0)
            self.assertEqual({d.metadata["path"] for d in step.run()}, {"a.py#0"})
            self.assertEqual(
                {k: v.total for k, v in step.stats.stats.items() if "left" in k},
                {"left out: symbolic link": 1, "left out: not a regular file": 1})

    def test_a_sample_is_of_its_size_in_any_order(self) -> None:
        ids = [str(i) for i in range(500)]
        chosen = {i for i in ids if i in annotate.Sample.of(ids, 60, 1)}
        self.assertEqual(len(chosen), 60)
        self.assertEqual({i for i in ids if i in annotate.Sample.of(ids[::-1], 60, 1)}, chosen)
        self.assertNotEqual({i for i in ids if i in annotate.Sample.of(ids, 60, 2)}, chosen)
        self.assertTrue(all(i in annotate.Sample.of(ids, n, 1) for i in ids for n in (0, 500, 900)))

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
        other = decontaminate.Problem("b", "2", "p", "def f(x):\n    while x:\n        x = x >> 1\n    print(x)\n")
        rates, near = decontaminate.match_rates(
            [renamed, changed, "x = 1\n", "def (", "def g():\n    pass\n"], [problem, other])
        self.assertEqual(near.tolist(), [1.0, 0.0])
        self.assertEqual(decontaminate.match_rates([changed], [])[0].tolist(), [0.0])
        self.assertEqual(rates[0], 1.0)
        self.assertLess(0.9, rates[1])
        self.assertEqual(rates[2], 0.0)
        self.assertEqual(rates[3], 0.0)
        page = "Some prose, and then:\n\n" + renamed + "\nThis prints:\n\n3\n"
        self.assertEqual(decontaminate.match_rates([page], [problem])[0][0], 1.0)
        only, _ = decontaminate.match_rates(
            [changed.split("\n\n\n")[0]], [decontaminate.Problem("b", "1", "p", GOOD.split("\n\n\n")[0])])
        self.assertTrue(0.9 < only[0] < 1, only)

    def test_any_constants_and_many_kinds_of_nodes_have_a_sign(self) -> None:
        problem = decontaminate.Problem("b", "1", "p", f"def f():\n    return 0x{'f' * 4000}\n")
        other = f"def g():\n    return 0x{'e' * 4000}\n"
        rates, _ = decontaminate.match_rates([problem.solution, other], [problem])
        self.assertEqual((rates[0], rates[1] < 1), (1.0, True))
        signs = decontaminate._Signs()
        known = signs.sign("a")
        signs.closed = True
        self.assertEqual(len({signs.sign(str(i)) for i in range(1_200_000)} - {known}), 1)
        self.assertEqual(signs.sign("a"), known)

    def test_thirteen_words(self) -> None:
        text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
        problem = decontaminate.Problem("b", "1", f"def f():\n    '''{text}'''", "")
        keep, report, _ = decontaminate.judge(
            [f"x {' '.join(text.split()[1:])} y", " ".join(text.split()[:12]), "def f(): pass"], [problem], 2, 0.0)
        self.assertEqual((keep, report["13-gram"], report["removed"]), ([False, True, True], 1, 1))

    def test_embeddings_and_trees_prune_together(self) -> None:
        problems = [decontaminate.Problem("b", str(i), "p", t) for i, t in enumerate((GOOD, POOR))]
        texts = [GOOD.replace("value", "vaule"), POOR + "# more\n", "def f():\n    return 1\n"]
        def embed(items: Any) -> np.ndarray:  # the share of each letter
            return np.array([[t.count(c) / len(t) for c in "abcdefghijklmnopqrstuvwxyz"] for t in items], np.float32)
        keep, report, near = decontaminate.judge(texts, problems, 0.9, 0.1, embed)
        self.assertEqual(keep, [False, False, True])
        self.assertEqual(report["removed at tau"], dict.fromkeys(report["tau"], 2))
        self.assertEqual(report["similar problems at tau"]["0.9"], 2)
        self.assertEqual([p["match"] for p in near], [1.0, 1.0])
        self.assertTrue(all(p["distance"] < 0.1 for p in near), near)
        keep, _, near = decontaminate.judge(texts, problems, 2, 0.0)
        self.assertEqual((keep, "distance" in near[0]), ([True] * 3, False))

    def test_any_rate_may_be_the_least(self) -> None:
        problem = decontaminate.Problem("b", "1", "p", "def f(a):\n    return a + 1 + 2 + 3\n")
        text = "def f(a):\n    return a * 1 + 2 + 3 + 4\n"
        rate = float(decontaminate.match_rates([text], [problem], 0.0)[0][0])
        self.assertTrue(0.3 < rate < 0.79, rate)
        for tau, kept in ((rate - 0.01, False), (rate + 0.01, True)):
            self.assertEqual(decontaminate.judge([text], [problem], tau, 0.0)[0], [kept], tau)

    def test_forest_learns_and_reports(self) -> None:
        r = np.random.default_rng(1)
        labels = r.integers(0, 2, 400)
        vectors = r.normal(size=(400, 6)) + 2 * labels[:, None]
        known = np.arange(0, 400, 2)
        scores, report, _ = select.judge(vectors, labels[known], known, 1)
        self.assertGreater(report["roc_auc"], 0.95)
        self.assertEqual(report["labelled"], 200)
        self.assertGreater(float(((scores >= 0.5) == labels)[1::2].mean()), 0.9)
        for wrong in (np.ones(400, int), labels[:20]):
            with self.assertRaisesRegex(ValueError, "too few"):
                select.judge(vectors, wrong, np.arange(len(wrong)), 1)

    def test_no_document_is_judged_by_a_forest_that_has_seen_it(self) -> None:
        r = np.random.default_rng(2)
        vectors, labels = r.normal(size=(300, 6)), r.integers(0, 2, 300)  # noise: only memory could tell
        scores, report, _ = select.judge(vectors, labels, np.arange(300), 1)
        self.assertLess(float(((scores >= 0.5) == labels).mean()), 0.62)
        self.assertLess(report["roc_auc"], 0.62)


class Tokens(unittest.TestCase):
    def test_a_tokenizer_that_cuts_and_pads_does_not_here(self) -> None:
        tokenizer = bpe.train([GOOD] * 40, 300)
        whole = tokenizer.encode(GOOD).ids
        tokenizer.enable_truncation(8)
        tokenizer.enable_padding(length=400, pad_id=299, pad_token=bpe.END_OF_TEXT)
        with tempfile.TemporaryDirectory() as folder:
            bpe.save(tokenizer, Path(folder), 64)
            self.assertEqual(bpe.load(Path(folder)).encode(GOOD).ids, whole)

    def test_sizes_that_no_vocabulary_has_are_told(self) -> None:
        for size in (20, 100, bpe.LEAST - 1, 65_537):
            with self.assertRaisesRegex(ValueError, f"vocabulary of {size} tokens is to have 287 or more, at most 655"):
                bpe.train([GOOD], size)
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()):
                main.parser().parse_args(["tokenizer", "--input", "x", "--out", "y", "--vocabulary", str(size)])
        self.assertEqual(bpe.train([GOOD], bpe.LEAST).get_vocab_size(), bpe.LEAST)

    def test_a_damaged_tokenizer_is_named(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for text in ("{", "[]", '{"model": 1}'):
                (Path(folder) / "tokenizer.json").write_text(text)
                with self.assertRaisesRegex(ValueError, "tokenizer.json: cannot be read"):
                    bpe.load(Path(folder))

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

    def test_a_separator_within_a_document_is_text(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tokenizer = bpe.train([GOOD] * 3, 340)
            bpe.save(tokenizer, folder / "t", 64)
            text = 'END = "<|endoftext|>"\n'
            pack([text], folder / "t", folder / "p")
            stream = open_stream([folder / "p"], sha256(folder / "t" / "tokenizer.json"), True)
            ids = stream.span(0, len(stream)).tolist()
            self.assertEqual((ids.count(339), tokenizer.decode(ids[:-1])), (1, text))

    def test_targets_begin_where_the_solution_is_said_to_begin(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            bpe.save(bpe.train([GOOD] * 3, 340), folder / "t", 64)
            pack(["abcdef", GOOD], folder / "t", folder / "p", solutions=True, starts=[4, None])
            stream = open_stream([folder / "p"], sha256(folder / "t" / "tokenizer.json"), True)
            tokens = bpe.load(folder / "t").encode("abcdef").offsets
            marks = stream.targets_of(0, len(stream)).tolist()
            self.assertEqual(marks[:len(tokens) + 1], [*(start >= 4 for start, _ in tokens), 1])
            self.assertTrue(0 < sum(marks[len(tokens) + 1:]) < len(marks) - len(tokens) - 1)
        self.assertEqual(solution_start('async def f():\n    """a"""\n    return 1\n'), 26)


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
        counts = json.loads((self.folder / "code" / "manifest.json").read_text())["counts"]
        self.assertEqual(counts["left out: licence"], 15)

    def test_what_is_left_out_is_told(self) -> None:
        f = self.folder
        (self.source / "text.py").write_text(GOOD.replace("mean", "média"))
        (self.source / "short.py").write_text("x = 1\n")
        told = json.loads(step("collect", "--folder", f"{self.source}:MIT", "--out", f / "code"))
        left = {k: v for k, v in told.items() if k.startswith("left out")}
        self.assertEqual(left, {
            "left out: piece that is not ASCII": 1, "left out: piece too short or too long": 1,
            "left out: unreadable": 1})
        told = json.loads(step("dedup", "--input", f / "code", "--out", f / "unique"))
        self.assertEqual(told["documents"] + told["left out: duplicate"] + told["left out: near duplicate"], 14)
        self.assertEqual(told["left out: duplicate"], 1)

    def test_a_sample_is_labelled_and_the_rest_passes(self) -> None:
        f = self.folder
        step("collect", "--folder", f"{self.source}:MIT", "--out", f / "code")
        told = json.loads(step("annotate", "--input", f / "code", "--sample", "5", "--out", f / "some", "--tasks", "2"))
        self.assertEqual((told["documents"], told["labelled"]), (14, 5))
        self.assertEqual(sum("label" in d.metadata for d in read(f / "some")), 5)
        self.assertRegex(
            step("filter", "--input", f / "some", "--checkpoint", f / "none", "--out", f / "x", fails=True),
            "5 labels with . valuable are too few")

    def test_inputs_that_changed_are_refused(self) -> None:
        f = self.folder
        step("textbooks", "--count", "3", "--out", f / "t")
        (f / "t" / "documents" / "00001.jsonl").write_text('{"text": "x", "id": "1", "metadata": {}}\n')
        self.assertRegex(
            step("dedup", "--input", f / "t", "--out", f / "y", fails=True), "00001.jsonl: not of this step")
        (f / "t" / "documents" / "00001.jsonl").unlink()
        shard = f / "t" / "documents" / "00000.jsonl"
        shard.write_text(shard.read_text().replace("This prints", "This printed"))
        self.assertRegex(
            step("dedup", "--input", f / "t", "--out", f / "y", fails=True), "00000.jsonl: not as its step left it")
        (f / "t" / "manifest.json").write_text("[]")
        self.assertRegex(step("dedup", "--input", f / "t", "--out", f / "y", fails=True), "not the manifest of a step")

    def test_packing_is_a_step_like_the_others(self) -> None:
        f = self.folder
        step("textbooks", "--count", "60", "--out", f / "t")
        step("tokenizer", "--input", f / "t", "--vocabulary", "300", "--out", f / "tokenizer")
        options = ("pack", "--input", f / "t", "--tokenizer", f / "tokenizer", "--part", "train", "--out", f / "packed")
        told = json.loads(step(*options))
        self.assertEqual(told["documents"] + told.get("left out: other part", 0), 60)
        before = (f / "packed" / "manifest.json").stat().st_mtime_ns
        manifest = json.loads((f / "packed" / "manifest.json").read_text())
        self.assertEqual((manifest["options"]["part"], manifest["inputs"][0][0]), ("train", "t"))
        step(*options)
        self.assertEqual((f / "packed" / "manifest.json").stat().st_mtime_ns, before)
        self.assertRegex(step(*options, "--most", "50", fails=True), "other options")
        self.assertRegex(step(*options[:-1], f, fails=True), "choose another")
        self.assertTrue((f / "t").exists())
        (f / "large").mkdir()
        (f / "link").symlink_to("large")
        step(*options[:-1], f / "link")
        self.assertTrue((f / "link").is_symlink() and (f / "large" / "manifest.json").exists())
        # Weights beside the tokenizer change nothing.
        (f / "tokenizer" / "model.safetensors").write_bytes(b"x")
        step(*options)
        self.assertEqual((f / "packed" / "manifest.json").stat().st_mtime_ns, before)

    def test_exercises_of_one_task_are_limited(self) -> None:
        f = self.folder
        step("textbooks", "--count", "60", "--out", f / "t")
        step("tokenizer", "--input", f / "t", "--vocabulary", "300", "--out", f / "tokenizer")
        step("tasks", "--count", "200", "--first-course", "--out", f / "first")
        of = Counter(d.metadata["task"] for d in read(f / "first"))
        self.assertLessEqual(set(of), NAMES)
        self.assertGreater(max(of.values()), 2)
        inputs = ("--input", f / "first", f / "t")
        told = json.loads(step("pack", *inputs, "--tokenizer", f / "tokenizer", "--of-a-task", "2", "--out", f / "p"))
        self.assertEqual(told["documents"], 60 + sum(min(n, 2) for n in of.values()))
        self.assertEqual(told["left out: beyond --of-a-task"], 260 - told["documents"])

    def test_what_is_not_a_step_s_is_left_alone(self) -> None:
        out = self.folder / "thesis"
        out.mkdir()
        (out / "thesis.txt").write_text("mine")
        for name in ("exercises", "tasks"):
            self.assertRegex(step(name, "--count", "2", "--out", out, fails=True), "thesis: holds other files")
        self.assertEqual([p.name for p in out.iterdir()], ["thesis.txt"])
        for made in ("pack", "finetune", "corpus"):
            with self.assertRaisesRegex(ValueError, "thesis: is there already"):
                check_free(out, made)
            (out / "manifest.json").write_text(json.dumps({"step": made}))
            check_free(out, made)
            (out / "manifest.json").unlink()

    def test_one_process_at_a_time(self) -> None:
        with locked(self.folder / "e"):
            told = step("exercises", "--count", "2", "--out", self.folder / "e", fails=True)
            self.assertRegex(told, "e: another process is using")
        step("exercises", "--count", "2", "--out", self.folder / "e")

    def test_a_full_disk_names_the_folder(self) -> None:
        with self.assertRaisesRegex(OSError, "packed: cannot be written"):
            def fill(folder: Path) -> None:
                raise OSError(28, "No space left on device")
            write_folder(self.folder / "packed", fill)
        self.assertFalse((self.folder / "packed").exists())

    def printed_to(self, *options: str | Path, **outputs: str) -> int:
        """Run a step with standard output or error in a file; return its exit status."""
        with contextlib.ExitStack() as opened:
            files = {name: opened.enter_context(open(path, "w")) for name, path in outputs.items()}
            return subprocess.run(
                [sys.executable, "-m", "phitools.data", *map(str, options)], env=environment(),
                **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | files).returncode

    @unittest.skipUnless(Path("/dev/full").exists(), "/dev/full is missing")
    def test_a_message_that_cannot_be_written_costs_no_document(self) -> None:
        out = self.folder / "e"
        options = ("exercises", "--count", "3", "--out", out)
        self.assertEqual(self.printed_to(*options, stdout="/dev/full"), 1)
        self.assertEqual(len(self.texts("e")), 3)
        self.printed_to(*options, stderr="/dev/full")
        self.assertEqual(len(self.texts("e")), 3)
        steps.verify(out)

    def test_a_full_disk_empties_an_unfinished_step_only(self) -> None:
        out = self.folder / "e"
        options = ("exercises", "--count", "3", "--out", out)
        with unittest.mock.patch.object(main, "finish", side_effect=OSError(28, "No space left on device")):
            self.assertIn("e: cannot be written (No space left on device)", self.told(*options))
        self.assertFalse((out / "documents").exists())
        self.told(*options, code=0)
        steps.clear(out)
        steps.fail(out)
        steps.verify(out)
        self.assertEqual(len(self.texts("e")), 3)
        with unittest.mock.patch.object(main, "show", side_effect=OSError(28, "No space left on device")):
            self.told("exercises", "--count", "4", "--out", self.folder / "f")
        self.assertEqual(len(self.texts("f")), 4)

    def test_a_step_that_failed_at_its_report_may_be_started_again(self) -> None:
        step("textbooks", "--count", "3", "--out", self.folder / "t")
        options = ("decontaminate", "--input", self.folder / "t", "--benchmark", "everyday", "--out", self.folder / "c")
        write = Path.write_text

        def refuse(path: Path, *given: Any, **more: Any) -> int:
            if path.name == "problems.jsonl":
                raise OSError("cannot")
            return write(path, *given, **more)
        with unittest.mock.patch.object(Path, "write_text", refuse):
            self.told(*options)
        self.told(*options, code=0)
        self.assertEqual(len(self.texts("c")), 3)

    def test_a_tokenizer_that_cannot_be_written_leaves_nothing(self) -> None:
        import resource
        step("textbooks", "--count", "60", "--out", self.folder / "t")
        out = self.folder / "tokenizer"
        line = ("tokenizer", "--input", self.folder / "t", "--vocabulary", "400", "--out", out)
        done = subprocess.run(
            [sys.executable, "-m", "phitools.data", *map(str, line)], env=environment(), capture_output=True, text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)))
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"^phitools.data tokenizer: .*/tokenizer: cannot be written \(File too .*\n$")
        self.assertEqual([p.name for p in out.iterdir()], ["logs"])
        step(*line)
        self.assertEqual(
            sorted(p.name for p in out.iterdir()),
            ["manifest.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "vocab.json"])

    def test_paths_that_are_no_text_are_taken(self) -> None:
        source = self.folder / os.fsdecode(b"\xfesource")
        (source / os.fsdecode(b"in\xff")).mkdir(parents=True)
        (source / os.fsdecode(b"in\xff") / "a.py").write_text(GOOD)
        self.told("collect", "--folder", f"{source}:MIT", "--out", self.folder / "code", code=0)
        self.assertEqual(
            [d.metadata for d in read(self.folder / "code")],
            [{"licence": "MIT", "origin": "?source", "path": "in?/a.py#0"}])
        self.told("collect", "--folder", f"{source}:MIT", "--out", self.folder / "code", code=0)  # which is complete
        shutil.move(self.folder / "code", self.folder / os.fsdecode(b"code\xff"))
        self.told(
            "annotate", "--input", self.folder / os.fsdecode(b"code\xff"), "--out", self.folder / "annotated", code=0)
        for path in (self.folder / "annotated" / "manifest.json", self.folder / "annotated/documents/00000.jsonl"):
            self.assertNotIn("\\ud", path.read_text())

    def test_numbers_out_of_range_are_refused(self) -> None:
        for options in (
                ("textbooks", "--count", "-5"), ("exercises", "--count", "0"),
                ("collect", "--standard-library", "--share", "2"), ("collect", "--standard-library", "--tasks", "0"),
                ("annotate", "--input", "x", "--sample", "-1")):
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()) as told:
                main.parser().parse_args([*options, "--out", "x"])
            self.assertIn(f"argument {options[-2]}", told.getvalue())
        self.assertRegex(step("collect", "--out", self.folder / "c", fails=True), "nothing to collect")

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

    def test_an_unfinished_step_goes_on_with_its_own_options_only(self) -> None:
        out = self.folder / "begun"
        options = ("textbooks", "--count", "40", "--tasks", "4", "--out", out)
        step(*options)
        whole = self.texts("begun")
        for name in ("manifest.json", "documents/00003.jsonl"):  # as if killed in its last task
            (out / name).unlink()
        steps.begin(self.folder / "x", main.options_of(main.parser().parse_args([*map(str, options)])), [])
        shutil.move(self.folder / "x" / "logs", out / "logs")
        for other in (("--seed", "9"), ("--tasks", "2"), ("--count", "10")):
            self.assertRegex(step(*options, *other, fails=True), "was begun with other options or inputs; remove it")
        shutil.rmtree(out / "logs")
        self.assertRegex(step(*options, fails=True), "not begun by this version")
        shutil.rmtree(out)
        step(*options)
        self.assertEqual(self.texts("begun"), whole)

    def told(self, *options: str | Path, code: int = 1) -> str:
        """Run a step in this process; return what it tells on standard error."""
        with (contextlib.redirect_stderr(io.StringIO()) as told, contextlib.redirect_stdout(io.StringIO()),
              unittest.mock.patch("sys.argv", ["data", *map(str, options)])):
            self.assertEqual(main.main(), code, told.getvalue())
        return told.getvalue().strip()

    def test_a_step_that_did_nothing_may_be_begun_with_other_options(self) -> None:
        out = self.folder / "e"
        options = ("exercises", "--count", "4", "--out", out)
        with unittest.mock.patch.object(main.endpoint.Endpoint, "ask", side_effect=OSError("no such model")):
            self.assertIn("no such model", self.told(*options, "--endpoint", "http://127.0.0.1:9", "--model", "m"))
        self.assertFalse((out / "logs" / "begun.json").exists())
        self.told(*options, code=0)
        self.assertEqual(len(self.texts("e")), 4)
        self.assertIn("other options", self.told(*options, "--seed", "2"))

    def test_options_without_effect_are_refused(self) -> None:
        f = self.folder
        for options, why in (
                (("exercises", "--count", "1", "--model", "m"), "--model needs --endpoint"),
                (("textbooks", "--count", "1", "--endpoint", "http://h"), "--endpoint needs --model"),
                (("decontaminate", "--input", f, "--benchmark", "heldout", "--distance", "0.1"), "--distance needs"),
                (("collect", "--data-set", "a/b", "--packages"), "--packages has no effect with --data-set"),
                (("collect", "--data-set", "a/b", "--folder", f), "--folder has no effect"),
                (("collect", "--standard-library", "--limit", "5"), "--limit needs --data-set"),
                (("tokenizer", "--input", f, "--vocabulary", "300", "--workers", "2"), "--workers has no effect"),
                (("pack", "--input", f, "--tokenizer", f, "--executor", "ray"), "--executor has no effect: pack is a"),
                (("tasks", "--count", "1", "--partition", "p"), "--partition needs --executor slurm")):
            self.assertRegex(self.told(*options, "--out", f / "none"), f"^phitools.data {options[0]}: .*{why}")
        self.assertFalse((f / "none").exists())

    def test_folders_are_identified_by_their_files(self) -> None:
        def options(*given: str | Path) -> dict[str, Any]:
            return main.options_of(main.parser().parse_args(["collect", "--out", "x", *map(str, given)]))
        other = self.folder / "more" / "source"
        shutil.copytree(self.source, other)
        first = options("--folder", f"{self.source}:MIT")
        self.assertEqual(first, options("--folder", f"{other}:MIT"))
        self.assertNotEqual(first, options("--folder", f"{other}:ISC"))
        (other / "good0.py").write_text((other / "good0.py").read_text().replace("0", "9"))  # of the same size
        self.assertNotEqual(first, options("--folder", f"{other}:MIT"))
        before = options("--packages-in", other)
        (other / "thing-1.dist-info").mkdir()
        (other / "thing-1.dist-info" / "METADATA").write_text("Name: thing\nVersion: 1\nLicense: MIT\n")
        self.assertNotEqual(before, options("--packages-in", other))
        with unittest.mock.patch.object(steps, "CHEAP", 0):  # then names and sizes tell
            self.assertNotEqual(first, options("--folder", f"{self.source}:MIT"))

    def test_checkpoints_are_identified_by_their_weights(self) -> None:
        seen = set()
        for name in ("model-1.safetensors", "model-2.safetensors", "pytorch_model.bin"):
            for data in (b"a", b"b"):
                folder = self.folder / f"{name}-{data.decode()}" / "final"
                folder.mkdir(parents=True)
                (folder / name).write_bytes(data)
                (folder / "tokenizer.json").write_text("{}")
                seen.add(main._identity(folder))
        self.assertEqual(len(seen), 6)

    def test_missing_packages_are_named_by_the_steps_that_need_them(self) -> None:
        heavy = "torch", "safetensors", "matplotlib", "sklearn", "datasets", "transformers"
        step("textbooks", "--count", "3", "--out", self.folder / "t")
        code = f"import sys\nfor n in {heavy}: sys.modules[n] = None\nfrom phitools.data.__main__ import main\nmain()"
        for command, why in (
                (["textbooks", "--count", "2"], ""),
                (["filter", "--input", str(self.folder / "t"), "--checkpoint", "x"], "filter: needs the package "),
                (["decontaminate", "--input", str(self.folder / "t"), "--benchmark", "everyday", "--checkpoint", "x"],
                 "decontaminate: needs the package torch: pip install")):
            done = subprocess.run(
                [sys.executable, "-c", code, *command, "--out", str(self.folder / command[0])], env=environment(),
                capture_output=True, text=True)
            self.assertRegex(done.stderr, f"^phitools.data {why}.*\n$" if why else "^$")

    def test_damaged_benchmarks_are_named(self) -> None:
        path = self.folder / "b.jsonl.GZ"
        path.write_bytes(heldout.FILE.read_bytes())
        self.assertEqual(len(decontaminate.problems(path)), 400)
        for data in (path.read_bytes()[:5000], b"{}"):
            path.write_bytes(data)
            with self.assertRaisesRegex(ValueError, "b.jsonl.GZ: is damaged"):
                decontaminate.problems(path)
        marked = self.folder / "c.jsonl"
        marked.write_bytes(b'\xef\xbb\xbf{"task_id": 1, "text": "t", "code": "c"}\r\n\r\n')
        self.assertEqual([p.id for p in decontaminate.problems(marked)], ["1"])
        for text, why in (
                ("\n", "holds no problem"), ('{"task_id": 1, "text": 5, "code": "x"}', "a text is no string")):
            marked.write_text(text)
            with self.assertRaisesRegex(ValueError, f"c.jsonl.*{why}"):
                decontaminate.problems(marked)

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

    def test_decontaminate_removes_what_is_planted(self) -> None:
        benchmark = heldout.FILE
        with gzip.open(benchmark, "rt") as f:
            problem = json.loads(f.readline())
        step("exercises", "--count", "40", "--out", self.folder / "e")
        planted = problem["prompt"] + problem["canonical_solution"]
        shard = self.folder / "e" / "documents" / "00000.jsonl"
        shard.write_text(shard.read_text() + json.dumps({"text": planted, "id": "00", "metadata": {}}) + "\n")
        finish(self.folder / "e", "exercises", {}, [], {})
        step(
            "decontaminate", "--input", self.folder / "e", "--benchmark", benchmark, "--tau", "1", "--out",
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
        finish(self.folder / "t", "textbooks", {}, [], {})
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
