"""Tests of the trainer: equality with Hugging Face, the loss, bit-exact resuming, several processes, errors."""
from __future__ import annotations

import contextlib
import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock
import warnings
from dataclasses import replace
from pathlib import Path

from needs import packages

packages("torch", "tokenizers", "safetensors", "matplotlib", "numpy")

import numpy as np
import torch
from torch.nn import functional as F

from phitools.data import bpe
from phitools.data.pack import pack, solution_start
from phitools.durable import lock
from phitools.exercises.generate import training
from phitools.packed import Sampler, open_stream, sha256
from phitools.train import __main__ as train_command
from phitools.train import base, checkpoint, config, processes, record
from phitools.train.loop import Training
from phitools.train.loss import IGNORED, next_token_loss
from phitools.train.model import Phi, deepened, from_hugging_face, to_hugging_face
from phitools.train.muon import Muon, orthogonal
from phitools.train.optimizers import learning_rate
from phitools.train.shape import Shape

TOOLS = Path(__file__).resolve().parents[1]
ODD = Shape(rows=67, hidden=24, layers=2, heads=3, intermediate=40, positions=50, rotary=0.5)

CONFIG = """
[model]
hidden = 32
layers = 2
heads = 2
intermediate = 48
positions = 128
[data]
tokenizer = "tokenizer"
train = ["packed"]
validation = { same = "packed" }
validation_tokens = 512
[batch]
sequences = 4
context = 32
[schedule]
steps = 24
peak = 1e-2
warmup = 4
[dropout]
attention = 0.1
residual = 0.1
[run]
out = "run"
threads = 1
checkpoint_every = 5
validate_every = 12
prompts = ["def f(x):\\n"]
"""


def make_data(folder: Path) -> None:
    """Write a tokenizer, a packed folder of a few exercises, and the configuration above."""
    texts = [e.source for e in training(1, 300)]
    bpe.save(bpe.train(texts, 400), folder / "tokenizer", 128)
    pack(texts, folder / "tokenizer", folder / "packed", tokens_per_shard=7000)
    pack(texts, folder / "tokenizer", folder / "solutions", tokens_per_shard=7000, solutions=True)
    (folder / "config.toml").write_text(CONFIG)


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "phitools.train", "--config", "config.toml", *options]


def environment(**more: str) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")} | {
        "PYTHONPATH": str(TOOLS), "OMP_NUM_THREADS": "1"} | more


def curve(out: Path) -> list[tuple[int, float, float]]:
    """Return step, loss and norm of every logged step, so that repeated or missing steps are detected."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [(r["step"], r["loss"], r["norm"]) for r in lines if "loss" in r]


class Function(unittest.TestCase):
    def test_loss_is_cross_entropy_with_its_gradients(self) -> None:
        for positions, ignored in ((1, 0), (5, 0), (5, 2), (1023, 0), (1025, 1), (2100, 1500), (4, 4)):
            g = torch.Generator().manual_seed(positions)
            x, w, b = (
                torch.randn(*s, generator=g, dtype=torch.float64, requires_grad=True)
                for s in ((positions, 7), (11, 7), (11,)))
            y = torch.randint(0, 11, (positions,), generator=g)
            y[torch.randperm(positions, generator=g)[:ignored]] = IGNORED
            plain = [t.detach().clone().requires_grad_() for t in (x, w, b)]
            expected = F.cross_entropy(plain[0] @ plain[1].T + plain[2], y, reduction="sum")
            expected.mul(3).backward()
            loss = next_token_loss(x, w, b, y)
            self.assertAlmostEqual(float(loss.detach()), float(expected.detach()), delta=1e-3)
            loss.mul(3).backward()
            for ours, theirs in zip((x, w, b), plain):
                torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-7 * positions)

    def test_muon_s_step_is_orthogonal_in_each_part(self) -> None:
        torch.manual_seed(4)
        for rows, columns in ((8, 8), (24, 8), (8, 24)):
            several = torch.randn(3, rows, columns)
            singular = torch.linalg.svdvals(orthogonal(several))
            self.assertTrue(float(singular.min()) > 0.5 and float(singular.max()) < 1.3, singular)
            for one, among in zip(several, orthogonal(several)):
                torch.testing.assert_close(orthogonal(one[None])[0], among)
        whole = torch.nn.Parameter(torch.randn(20, 8))
        parts = [torch.nn.Parameter(p.detach().clone()) for p in whole.split([8, 12])]
        together, apart = Muon([(whole, [8, 12], 0)], 0.1, 0.2), Muon([(p, [len(p)], 0) for p in parts], 0.1, 0.2)
        for _ in range(3):
            whole.grad = torch.randn(20, 8)
            for p, g in zip(parts, whole.grad.split([8, 12])):
                p.grad = g.clone()
            together.step()
            apart.step()
        self.assertTrue(torch.equal(whole, torch.cat(parts)))

    def test_names_go_round(self) -> None:
        torch.manual_seed(1)
        model = Phi(ODD)
        again = from_hugging_face(ODD, to_hugging_face(ODD, model.state_dict()))
        self.assertEqual(set(again), set(model.state_dict()))
        for name, value in model.state_dict().items():
            self.assertTrue(torch.equal(again[name], value), name)
        with self.assertRaisesRegex(ValueError, "lm_head.bias is missing"):
            from_hugging_face(
                ODD, {k: v for k, v in to_hugging_face(ODD, model.state_dict()).items() if k != "lm_head.bias"})

    def test_added_blocks_change_nothing_and_learn(self) -> None:
        small, large = Phi(ODD), Phi(replace(ODD, layers=6))
        for p in small.parameters():
            torch.nn.init.normal_(p, std=0.2)
        large.load_state_dict(deepened(ODD, small.state_dict(), 6))
        ids = torch.randint(0, ODD.rows, (2, 20))
        self.assertTrue(torch.equal(small(ids), large(ids)))
        large(ids, ids.roll(-1, 1)).backward()
        for block in large.blocks:
            self.assertGreater(float(block.out.weight.grad.norm()), 0)

    def test_hugging_face_has_the_same_logits_and_gradients(self) -> None:
        packages("transformers")
        from transformers import PhiConfig, PhiForCausalLM
        torch.manual_seed(2)
        ours = Phi(ODD)
        with torch.no_grad():
            for p in ours.parameters():
                p.normal_(0, 0.2)
        settings = checkpoint.hugging_face_config(ODD, 66)
        theirs = PhiForCausalLM(
            PhiConfig(**{k: v for k, v in settings.items() if k not in ("architectures", "model_type", "torch_dtype")}))
        theirs.load_state_dict(to_hugging_face(ODD, ours.state_dict()))
        theirs.train()
        ids = torch.randint(0, ODD.rows, (3, 41))
        logits = theirs(input_ids=ids[:, :-1], use_cache=False).logits
        torch.testing.assert_close(ours(ids[:, :-1]), logits, rtol=1e-4, atol=1e-4)
        F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="sum").backward()
        ours(ids[:, :-1], ids[:, 1:]).backward()
        gradients = to_hugging_face(ODD, {n: p.grad for n, p in ours.named_parameters()})
        for name, p in theirs.named_parameters():
            if not name.endswith("fc2.bias"):  # ours is joined with dense's
                torch.testing.assert_close(gradients[name], p.grad, rtol=1e-3, atol=1e-6, msg=name)

    def test_dropout_changes_training_only(self) -> None:
        torch.manual_seed(3)
        model, ids = Phi(ODD, config.Dropout(0.2, 0.2, 0.2)), torch.randint(0, ODD.rows, (1, 20))
        self.assertFalse(torch.equal(model(ids), model(ids)))
        model.eval()
        self.assertTrue(torch.equal(model(ids), model(ids)))

    def test_operations_are_counted(self) -> None:
        model = Phi(ODD)
        matrices = sum(p.numel() for n, p in model.named_parameters() if p.dim() == 2 and not n.startswith("embedding"))
        self.assertEqual(ODD.matrix_parameters, matrices)
        self.assertEqual(ODD.block_parameters, sum(p.numel() for p in model.blocks.parameters()))

    def test_learning_rate(self) -> None:
        rates = [learning_rate(s, 1.0, 4, 12) for s in range(12)]
        self.assertEqual(rates[:5], [0.25, 0.5, 0.75, 1.0, 1.0])
        self.assertEqual(rates[-1], 1 / 8)
        cosine = [learning_rate(s, 1.0, 4, 12, "cosine", floor=0.1) for s in range(13)]
        self.assertEqual(cosine[:5], [0.25, 0.5, 0.75, 1.0, 1.0])
        self.assertAlmostEqual(cosine[8], 0.55)
        self.assertAlmostEqual(cosine[12], 0.1)
        wsd = [learning_rate(s, 1.0, 2, 10, "wsd", decay=0.4) for s in range(10)]
        self.assertEqual(wsd, [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25])


class Configuration(unittest.TestCase):
    def refused(self, text: str, why: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "c.toml"
            path.write_text(text)
            with self.assertRaisesRegex(ValueError, why):
                config.load(path, [])

    def test_bad_files_are_refused_by_name(self) -> None:
        self.refused(CONFIG.replace("hidden = 32", "hiden = 32"), "model.hiden: no such key")
        self.refused(CONFIG.replace("hidden = 32\n", ""), "model.hidden is missing")
        self.refused(CONFIG.replace("hidden = 32", 'hidden = "32"'), "model.hidden = '32' must be of type int")
        self.refused(CONFIG.replace("heads = 2", "heads = 3"), "multiple of model.heads")
        self.refused(CONFIG.replace("context = 32", "context = 999"), "exceeds model.positions")
        self.refused(CONFIG + 'mode = "finetune"\n', "run.init requires")
        self.refused(CONFIG.replace("heads = 2", "heads = 0"), "model.heads is missing or 0")
        self.refused(CONFIG.replace("[dropout]\nattention = 0.1", "[dropout]\nattention = 1.0"), "must be less than 1")
        self.refused(CONFIG.replace("steps = 24", 'steps = 24\nkind = "step"'), "schedule.kind must be")
        self.refused(CONFIG.replace("context = 32", "context = 32\nmicro = -1"), "batch.micro must not be negative")
        for line, why in (
                ('device = "gpu"', "run.device must be auto, cpu or cuda"),
                ('best = "x"', "is no set of data.validation"),
                ('report = "paper"', "run.report must be"), ("seed = -1", "run.seed must not be negative")):
            self.refused(f"{CONFIG}{line}\n", why)
        tuned = CONFIG + 'mode = "finetune"\ninit = "x"\n[lora]\nrank = 2\n'
        self.refused(tuned, "dropout.residual must be 0 with lora")
        self.refused(tuned.replace("residual = 0.1", "residual = 0") + 'targets = ["q"]\n', r"lora.targets \['q'\]")
        self.refused("[model", "c.toml")
        self.refused(tuned.replace("residual = 0.1", "residual = 0") + "alpha = 0\n", "lora.alpha must be positive")
        for override, why in (
                ("data.train=[1]", r"data.train = \[1\] must be of type"),
                ("data.validation={a=1}", "data.validation = {'a': 1} must be of type"),
                ("run.out.x=1", "run.out.x: out is no table")):
            with self.assertRaisesRegex(ValueError, why):
                config.load(Path("nano.toml"), [override])

    def test_the_repository_s_files_load(self) -> None:
        for path in sorted(config.CONFIGS.glob("*.toml")):
            c = config.load(path, [])
            shape = Shape(
                c.model.rows or 1024, c.model.hidden, c.model.layers, c.model.heads, c.model.intermediate,
                c.model.positions, c.model.rotary)
            if path.stem.startswith("phi-1") and "small" not in path.stem:
                model = shape.block_parameters + 2 * shape.hidden + shape.rows * (2 * shape.hidden + 1)
                # Hugging Face has a bias for each output product, we one for both
                total = model + shape.layers * shape.hidden
                self.assertEqual(total, 1_418_270_720)

    def test_overrides(self) -> None:
        c = config.load(
            Path("nano.toml"),
            ["run.out=/tmp/a b", "schedule.steps=7", "schedule.warmup=2", 'data.train=["x"]', "run.compile=true"])
        self.assertEqual((c.run.out, c.schedule.steps, c.data.train, c.run.compile), ("/tmp/a b", 7, ["x"], True))


class Stream(unittest.TestCase):
    def test_every_token_of_an_epoch_once(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make_data(folder)
            stream = open_stream([folder / "packed"], sha256(folder / "tokenizer" / "tokenizer.json"), True)
            self.assertGreater(len(stream.shards), 2)
            whole = np.concatenate(stream.shards).astype(np.int64)
            self.assertTrue(np.array_equal(stream.span(len(whole) - 3, 7), np.concatenate([whole[-3:], whole[:4]])))
            sampler = Sampler(stream, 16, 5, 9)
            rows = np.concatenate([sampler.batch(s, 0, 5) for s in range(-(-sampler.per_epoch // 5))])[
                :sampler.per_epoch]
            places = np.sort(rows[:, :-1].ravel())
            self.assertTrue(np.array_equal(rows[:, 1:-1], rows[:, 1:-1]) and len(places) == sampler.per_epoch * 16)
            counted = np.bincount(places, minlength=400)
            # all but the end, which the offset moves
            self.assertLessEqual(np.abs(counted - np.bincount(whole, minlength=400)).sum(), 17)


class Solutions(unittest.TestCase):
    def test_a_solution_begins_after_the_docstring(self) -> None:
        for text, rest in (
                ("def f(x):\n    \"\"\"é.\"\"\"\n    return x\n", "\n    return x\n"),
                ("import re\n\ndef f():\n    'a\\'b'\n    pass\n", "\n    pass\n"),
                ("def f():\r\n    'é\\\r\n'\r\n    pass\r\n", "\r\n    pass\r\n")):
            self.assertEqual(text[solution_start(text):], rest)
        for text in (
                "x = 1\n", "def f(:\n", "def f(x):\n    return x\n", "", "a\0",
                "x = 1\rdef f(x):\n    'é'\n    pass\n"):
            self.assertEqual(solution_start(text), 0)
        for e in training(5, 50):
            self.assertEqual(e.source[solution_start(e.source):], "\n" + e.solution)

    def test_a_text_too_deep_for_the_parser_has_no_solution(self) -> None:
        for error in (MemoryError, RecursionError):
            with unittest.mock.patch("ast.parse", side_effect=error):
                self.assertEqual(solution_start('def f():\n    "x"\n'), 0)

    def test_only_solutions_are_targets(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            texts = [e.source for e in training(1, 300)]
            bpe.save(bpe.train(texts, 400), folder / "tokenizer", 128)
            pack(texts, folder / "tokenizer", folder / "packed", tokens_per_shard=7000, solutions=True)
            digest, tokenizer = sha256(folder / "tokenizer" / "tokenizer.json"), bpe.load(folder / "tokenizer")
            stream = open_stream([folder / "packed"], digest, True)
            self.assertGreater(len(stream.shards), 2)
            ids, wanted = stream.span(0, len(stream)), stream.targets_of(0, len(stream))
            ends = np.flatnonzero(ids == bpe.end_of_text(tokenizer))
            self.assertEqual(len(ends), len(texts))
            begin = 0
            for text, end in zip(texts, ends):
                inside = ids[begin:end][wanted[begin:end] == 1]
                self.assertEqual(tokenizer.decode(inside.tolist()), text[solution_start(text):])
                self.assertEqual(wanted[end], 1)
                begin = end + 1
            sampler = Sampler(stream, 16, 5, 9)
            rows, targets = sampler.batch(3, 1, 4), sampler.targets(3, 1, 4)
            self.assertEqual((rows.shape, targets.shape), ((4, 17), (4, 16)))
            flat, found = ids.tolist(), 0
            for row, marks in zip(rows.tolist(), targets.tolist()):
                places = [i for i in range(len(flat) - 17) if flat[i:i + 17] == row]
                found += any(wanted[i + 1:i + 17].tolist() == marks for i in places)
            self.assertEqual(found, 4)
            (folder / "packed" / "targets-00001.bin").write_bytes(b"")
            with self.assertRaisesRegex(ValueError, "targets-00001.bin: 0 bytes instead of"):
                open_stream([folder / "packed"], digest, False)


class Records(unittest.TestCase):
    def test_lines_of_an_earlier_start_outlive_a_full_disk(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "log.jsonl"
            path.write_text("".join(json.dumps({"step": i}) + "\n" for i in range(5)))
            before = path.read_bytes()
            with unittest.mock.patch("os.fsync", side_effect=OSError(28, "No space left on device")):
                with self.assertRaises(OSError):
                    record.Record(path, 2)
            self.assertEqual((path.read_bytes(), len(list(Path(name).iterdir()))), (before, 1))
            log = record.Record(path, 2)
            log.add(step=9)
            log._file.close()
            self.assertEqual([json.loads(t)["step"] for t in path.read_text().splitlines()], [0, 1, 2, 9])

    def test_an_interrupted_run_and_one_without_memory_tell_so_in_a_line(self) -> None:
        for error, code, why in (
                (KeyboardInterrupt(), 130, "interrupted; start it again"), (MemoryError(), 1, "out of memory"),
                (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), 1, "out of memory")):
            with (unittest.mock.patch.object(train_command, "load", side_effect=error),
                  unittest.mock.patch("sys.argv", ["train", "--config", "x"]),
                  contextlib.redirect_stderr(io.StringIO()) as told):
                self.assertEqual(train_command.main(), code)
            self.assertRegex(told.getvalue(), f"^phitools.train: {why}.*\n$")


class Runs(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.scratch.name)
        make_data(cls.folder)
        cls.reference = cls.train("run.out=whole")

    @classmethod
    def tearDownClass(cls) -> None:
        cls.scratch.cleanup()

    @classmethod
    def train(cls, *overrides: str, processes: int = 1) -> list[tuple[int, float, float]]:
        options = [x for o in overrides for x in ("--set", o)]
        line = command(*options)
        if processes > 1:
            line = [
                sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes),
                *line[1:]]
        subprocess.run(line, cwd=cls.folder, env=environment(), check=True, capture_output=True, text=True)
        return curve(cls.folder / next(o.split("=")[1] for o in overrides if o.startswith("run.out")))

    def failure(self, *overrides: str, **limits: int) -> str:
        """Run the command, which must fail: in this process, or with limits in one of its own. Return its last line."""
        line = command(*[x for o in overrides for x in ("--set", o)])

        def limit() -> None:
            import resource
            resource.setrlimit(resource.RLIMIT_FSIZE, (limits["file"], limits["file"]))
        if limits:
            done = subprocess.run(
                line, cwd=self.folder, env=environment(), capture_output=True, text=True, preexec_fn=limit)
            status, told = done.returncode, done.stderr
        else:
            here = os.getcwd()
            os.chdir(self.folder)
            try:
                with (contextlib.redirect_stderr(io.StringIO()) as out, warnings.catch_warnings(),
                      unittest.mock.patch("sys.argv", line[2:])):
                    warnings.simplefilter("ignore", ResourceWarning)  # the process ends here otherwise
                    status = train_command.main()
            finally:
                os.chdir(here)
            told = out.getvalue()
        self.assertEqual(status, 1, told)
        last = told.strip().splitlines()[-1]
        self.assertTrue(last.startswith("phitools.train: "), told)
        return last

    def test_it_learns_and_leaves_everything(self) -> None:
        self.assertEqual([s for s, _, _ in self.reference], list(range(1, 25)))
        self.assertLess(self.reference[-1][1], self.reference[0][1] - 0.3)
        out = self.folder / "whole"
        for name in (
                "loss.png", "samples.jsonl", "final/config.json", "final/model.safetensors", "final/tokenizer.json"):
            self.assertGreater((out / name).stat().st_size, 0, name)
        self.assertEqual(
            [p.name for p in checkpoint.checkpoints(out)], ["step-00000015", "step-00000020", "step-00000024"])

    def test_killed_anywhere_it_goes_on_to_the_bit(self) -> None:
        out = self.folder / "killed"
        for kill_at in (3, 8, 17):
            process = subprocess.Popen(
                command("--set", "run.out=killed"), cwd=self.folder, env=environment(), stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            deadline = time.monotonic() + 300
            while time.monotonic() < deadline and process.poll() is None:
                log = out / "log.jsonl"
                if log.exists() and log.read_text().count('"loss"') >= kill_at:
                    break
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            process.wait()
        with open(out / "log.jsonl", "a") as log:
            log.write('{"step": 19, "lo')  # as after a power cut
        self.assertEqual(self.train("run.out=killed"), self.reference)
        a, b = ((self.folder / n / "final" / "model.safetensors").read_bytes() for n in ("whole", "killed"))
        self.assertEqual(a, b)

    def test_muon_goes_on_to_the_bit(self) -> None:
        settings = ["optimizer.muon=0.02", 'data.train=["solutions"]', "schedule.steps=12"]
        whole = self.train("run.out=muon", *settings)
        self.assertLess(whole[-1][1], whole[0][1] - 0.3)
        for path in (self.folder / "muon" / "checkpoints" / "step-00000012", self.folder / "muon" / "final"):
            shutil.rmtree(path)  # as if killed after step 10
        self.assertEqual(self.train("run.out=muon", *settings), whole)

    def test_stopped_and_continued(self) -> None:
        process = subprocess.Popen(
            command("--set", "run.out=paused"), cwd=self.folder, env=environment(), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        while not (self.folder / "paused" / "log.jsonl").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.5)
        process.send_signal(signal.SIGCONT)
        self.assertEqual(process.wait(), 0)
        self.assertEqual(curve(self.folder / "paused"), self.reference)

    def near(
            self, ours: list[tuple[int, float, float]], theirs: list[tuple[int, float, float]],
            tolerance: float) -> None:
        self.assertEqual(len(ours), len(theirs))
        for (_, a, _), (_, b, _) in zip(ours, theirs):
            self.assertAlmostEqual(a, b, delta=tolerance)

    def test_accumulation_and_processes_give_the_same_loss(self) -> None:
        plain = ["dropout.attention=0.0", "dropout.residual=0.0", "schedule.steps=8"]
        one = self.train("run.out=one", *plain)
        self.near(self.train("run.out=pieces", "batch.micro=1", *plain), one, 1e-5)
        self.near(self.train("run.out=two", *plain, processes=2), one, 1e-5)
        self.near(self.train("run.out=two-pieces", "batch.micro=1", *plain, processes=2), one, 1e-5)
        plain += ['data.train=["solutions"]', "optimizer.muon=0.02"]  # pieces have different numbers of targets
        one = self.train("run.out=one-marked", *plain)
        self.near(self.train("run.out=two-pieces-marked", "batch.micro=1", *plain, processes=2), one, 1e-4)

    def test_fsdp_gives_the_same_loss_and_a_whole_checkpoint(self) -> None:
        plain = ["dropout.attention=0.0", "dropout.residual=0.0", "schedule.steps=8"]
        one = self.train("run.out=fsdp-one", *plain)
        self.near(self.train("run.out=fsdp", "run.strategy=fsdp", *plain, processes=2), one, 1e-5)
        logits = []
        # weights themselves may differ: a key's bias changes no logit, and Adam makes steps of its rounding errors
        for name in ("fsdp-one", "fsdp"):
            final = self.folder / name / "final"
            model = Phi(base.read_shape(final)).eval()
            model.load_state_dict(base.load_weights(final, model.shape))
            logits.append(model(torch.arange(60)[None] * 5))
        torch.testing.assert_close(*logits, rtol=1e-2, atol=2e-3)

    def test_bfloat16_is_near(self) -> None:
        self.near(
            self.train(
                "run.out=half", "run.precision=bfloat16", "schedule.steps=8", "dropout.attention=0.0",
                "dropout.residual=0.0"),
            self.train("run.out=float", "schedule.steps=8", "dropout.attention=0.0", "dropout.residual=0.0"),
            0.05)

    def test_compiled_is_near(self) -> None:
        if not shutil.which("c++"):
            print(text := "SKIPPED, not tested here: torch.compile needs a C++ compiler", file=sys.stderr)
            self.skipTest(text)
        # the loss is in two pieces
        plain = [
            "dropout.attention=0.0", "dropout.residual=0.0", "schedule.steps=4", "batch.context=128",
            "batch.sequences=9"]
        self.near(self.train("run.out=compiled", "run.compile=true", *plain), self.train("run.out=eager", *plain), 1e-4)

    def test_another_strategy_or_number_of_processes_goes_on(self) -> None:
        plain = ["dropout.attention=0.0", "dropout.residual=0.0", "schedule.steps=12"]
        one = self.train("run.out=turns-one", *plain)
        for strategy, count in (("fsdp", 2), ("ddp", 2), ("ddp", 1)):
            out = self.folder / "turns"
            self.near(self.train("run.out=turns", f"run.strategy={strategy}", *plain, processes=count), one, 1e-4)
            for path in (out / "checkpoints" / "step-00000012", out / "final"):
                shutil.rmtree(path)  # as if killed after step 10

    def test_checkpoints_in_parts_go_on(self) -> None:
        plain = ["dropout.attention=0.0", "dropout.residual=0.0", "schedule.steps=12"]
        parts = ["run.strategy=fsdp", "run.sharded=true"]
        one, out = self.train("run.out=parts-one", *plain), self.folder / "parts"
        for count in (2, 2, 1):  # `make check-cluster` kills processes and nodes
            more = parts if count > 1 else []
            self.near(self.train("run.out=parts", *more, *plain, processes=count), one, 1e-4)
            last = checkpoint.checkpoints(out)[-1]
            self.assertEqual((last / "model.safetensors").exists(), count == 1)
            self.assertEqual(len(list((last / "sharded").glob("*.distcp"))), 2 if count > 1 else 0)
            self.assertTrue((out / "final" / "model.safetensors").exists())
            for path in (last, out / "final"):
                shutil.rmtree(path)  # as if killed after step 10
        self.train("run.out=parts", *parts, *plain, processes=2)
        shutil.rmtree(out / "final")  # as if killed after the last checkpoint, which is in parts
        self.near(self.train("run.out=parts", *plain), one, 1e-4)
        self.assertTrue((out / "final" / "model.safetensors").exists())
        self.train("run.out=parts-two", *parts, *plain, processes=2)
        last = checkpoint.checkpoints(self.folder / "parts-two")[-1].relative_to(self.folder)
        self.assertRegex(
            self.failure("run.out=f5", "run.mode=finetune", f"run.init={last}"),
            "holds the parts of a sharded run.* take its final checkpoint")

    def test_a_run_killed_before_its_first_checkpoint_begins_once(self) -> None:
        self.train("run.out=early", "schedule.steps=6")
        shutil.rmtree(self.folder / "early" / "checkpoints")
        again = self.train("run.out=early", "schedule.steps=6")
        lines = [json.loads(t) for t in (self.folder / "early" / "log.jsonl").read_text().splitlines()]
        self.assertEqual([r["step"] for r in lines], list(range(7)))
        self.assertEqual(again, self.train("run.out=early-whole", "schedule.steps=6"))
        shutil.rmtree(self.folder / "early" / "checkpoints")
        self.train("run.out=early", "schedule.steps=6", "schedule.peak=1e-3")
        lines = [json.loads(t) for t in (self.folder / "early" / "log.jsonl").read_text().splitlines()]
        self.assertEqual(lines[0]["config"]["schedule"]["peak"], 1e-3)

    def test_a_run_that_diverges_is_no_success(self) -> None:
        for options in (("schedule.peak=1e38", "schedule.steps=1"), ("schedule.peak=1e30", "schedule.steps=3")):
            told = self.failure("run.out=wild", "schedule.warmup=0", *options)
            self.assertRegex(told, "is not finite; begin again in another run.out, with a lower schedule.peak")
            self.assertFalse((self.folder / "wild" / "final").exists())
            shutil.rmtree(self.folder / "wild")

    def test_a_validation_set_of_one_token_is_refused(self) -> None:
        pack([""], self.folder / "tokenizer", self.folder / "one")
        self.assertRegex(self.failure("run.out=one-run", 'data.validation={same = "one"}'), "one: 1 tokens, too few")

    def test_the_best_checkpoint_is_kept(self) -> None:
        self.train("run.out=best", "run.best=same", "run.validate_every=3", "schedule.peak=0.5", "schedule.warmup=24")
        lines = [json.loads(text) for text in (self.folder / "best" / "log.jsonl").read_text().splitlines()]
        losses = {r["step"]: r["validation"]["same"] for r in lines if "validation" in r}
        self.assertNotEqual(min(losses, key=losses.get), 24, losses)
        c = config.load(self.folder / "config.toml", ["run.out=again", "run.mode=finetune", "run.init=best/best"])
        here = os.getcwd()
        os.chdir(self.folder)
        try:
            self.assertAlmostEqual(
                Training(c, processes.start("cpu")).validate()["validation"]["same"], min(losses.values()), places=5)
        finally:
            os.chdir(here)

    def test_bits_per_byte(self) -> None:
        line = json.loads((self.folder / "whole" / "log.jsonl").read_text().splitlines()[-1])
        tokenizer = bpe.load(self.folder / "tokenizer")
        stream = open_stream([self.folder / "packed"], sha256(self.folder / "tokenizer" / "tokenizer.json"), True)
        ids = stream.span(1, 512).tolist()
        text = tokenizer.decode(ids, skip_special_tokens=True)
        self.assertAlmostEqual(
            line["bits_per_byte"]["same"], line["validation"]["same"] * 512 / math.log(2) / len(text.encode()),
            places=3)

    def test_the_curve_is_reported(self) -> None:
        (self.folder / "trackio.py").write_text(
            "def init(**k): print('init', k['project'], k['name'], k['resume'])\n"
            "def log(line, step): print('log', step, sorted(line))\n")
        done = subprocess.run(
            command("--set", "run.out=told", "--set", "run.report=trackio", "--set", "schedule.steps=4"),
            cwd=self.folder, env=environment(PYTHONPATH=f"{TOOLS}:{self.folder}"), capture_output=True, text=True)
        (self.folder / "trackio.py").unlink()
        told = done.stdout.splitlines()
        self.assertTrue(told[0].startswith("init ") and told[0].endswith(" told allow"), done)
        self.assertEqual([t.split()[1] for t in told[1:5]], ["1", "2", "3", "4"])
        self.assertIn("'bits_per_byte/same', 'flops_share', 'loss'", told[4])
        packages("tensorboard")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        self.train("run.out=board", "run.report=tensorboard", "schedule.steps=4")
        found = EventAccumulator(str(self.folder / "board" / "tensorboard"))
        found.Reload()
        self.assertEqual([s.step for s in found.Scalars("loss")], [1, 2, 3, 4])
        self.assertEqual(len(found.Scalars("validation/same")), 1)

    def test_the_shape_may_come_from_the_weights(self) -> None:
        text = CONFIG[CONFIG.index("[data]"):].replace('tokenizer = "tokenizer"\n', "")
        (self.folder / "config.toml").write_text(text + 'mode = "finetune"\ninit = "whole/final"\n')
        try:
            self.train("run.out=shaped", "schedule.steps=4")
        finally:
            (self.folder / "config.toml").write_text(CONFIG)
        a, b = (base.read_config(self.folder / n / "final") for n in ("whole", "shaped"))
        self.assertEqual(a, b)

    def test_finetune_starts_from_the_weights(self) -> None:
        curve = self.train(
            "run.out=finetuned", "run.mode=finetune", "run.init=whole/final", "schedule.steps=5", "schedule.peak=1e-4")
        self.assertLess(curve[0][1], self.reference[5][1])

    def test_finetune_may_add_layers(self) -> None:
        options = ("run.mode=finetune", "run.init=whole/final", "schedule.steps=6", "dropout.attention=0",
                   "dropout.residual=0")
        same = self.train("run.out=same", *options)
        deeper = self.train("run.out=deeper", "model.layers=6", *options)
        self.assertEqual(deeper[0][1], same[0][1])
        self.assertNotEqual(deeper[-1][1], same[-1][1])
        self.assertEqual(base.read_shape(self.folder / "deeper" / "final").layers, 6)
        shutil.rmtree(self.folder / "deeper" / "final")
        self.assertEqual(self.train("run.out=deeper", "model.layers=6", *options), deeper)
        told = self.failure("run.out=odd", "model.layers=3", *options)
        self.assertRegex(told, "whole/final: has 2 layers, not 3 of .model.")
        told = self.failure("run.out=odd", "model.layers=4", "lora.rank=2", *options)
        self.assertRegex(told, "whole/final: has 2 layers, not 4 of .model.")

    def test_transformers_loads_the_checkpoint(self) -> None:
        packages("transformers")
        from transformers import AutoModelForCausalLM, AutoTokenizer
        final = self.folder / "whole" / "final"
        model, tokenizer = AutoModelForCausalLM.from_pretrained(final), AutoTokenizer.from_pretrained(final)
        shape = base.read_shape(final)
        ours = Phi(shape).eval()
        ours.load_state_dict(base.load_weights(final, shape))
        ids = tokenizer("def f(x):\n    return x\n", return_tensors="pt")["input_ids"]
        self.assertEqual(ids[0].tolist(), bpe.load(final).encode("def f(x):\n    return x\n").ids)
        torch.testing.assert_close(model.eval()(input_ids=ids).logits.float(), ours(ids), rtol=1e-4, atol=1e-4)

    def test_faults_are_one_line_that_names_them(self) -> None:
        broken = self.folder / "broken"
        shutil.copytree(self.folder / "packed", broken)
        shard = broken / "tokens-00001.bin"
        data = bytearray(shard.read_bytes())
        data[10] ^= 1
        shard.write_bytes(data)
        self.assertRegex(self.failure('data.train=["broken"]', "run.out=f1"), "tokens-00001.bin: its bytes")
        shard.write_bytes(data[:-2])
        self.assertRegex(self.failure('data.train=["broken"]', "run.out=f1"), "tokens-00001.bin: .* bytes instead of")
        self.assertRegex(self.failure('data.train=["nowhere"]', "run.out=f1"), "nowhere/manifest.json")
        self.assertRegex(self.failure("data.tokenizer=nowhere", "run.out=f1"), "nowhere/tokenizer.json")
        self.assertRegex(self.failure("run.out=whole", "schedule.peak=0.5"), "another configuration")
        self.assertRegex(
            self.failure("run.out=f2", "run.mode=finetune", "run.init=packed"),
            "packed/config.json: not a phi checkpoint")
        self.assertRegex(self.failure("run.out=f2", 'run.prompts=[""]'), "a prompt, '', has no tokens")
        with lock(self.folder / "f4" / "lock"):
            self.assertRegex(self.failure("run.out=f4"), "f4: another process")
        self.assertRegex(self.failure("run.out=f3", "optimizer.muon=-1.0"), "optimizer.muon must not be negative")
        self.assertRegex(self.failure("run.out=f3", "batch.micro=3"), "batch.micro = 3 does not divide")
        other = self.folder / "shuffled"
        shutil.copytree(self.folder / "packed", other)
        first = other / "tokens-00000.bin"
        ids = np.fromfile(first, "<u2")
        ids[::-1].tofile(first)
        manifest = json.loads((other / "manifest.json").read_text())
        manifest["shards"][0]["sha256"] = sha256(first)
        (other / "manifest.json").write_text(json.dumps(manifest))
        self.assertRegex(self.failure("run.out=whole", 'data.train=["shuffled"]'), "or other data")
        self.train("run.out=cut", "schedule.steps=5")
        state = self.folder / "cut" / "checkpoints" / "step-00000005" / "training.pt"
        state.write_bytes(state.read_bytes()[:-200])
        self.assertRegex(self.failure("run.out=cut", "schedule.steps=5"), "training.pt: cannot be read .* remove ")
        if not torch.cuda.is_available():
            self.assertRegex(self.failure("run.out=f3", "run.device=cuda"), "PyTorch finds no GPU")
        told = self.failure("run.out=f3", "run.mode=finetune", "run.init=whole/final", "model.hidden=64")
        self.assertRegex(told, "has 32 hidden, not 64")

    def test_what_a_run_starts_from_is_not_replaced(self) -> None:
        out = self.folder / "mine"
        out.mkdir()
        for name in ("best", "final"):
            shutil.copytree(self.folder / "whole" / "final", out / name)
        (self.folder / "link").symlink_to(out / "final")
        (self.folder / "other").mkdir()
        (self.folder / "other" / "final").symlink_to(out / "final")
        for init, folder in (
                ("mine/best", "mine"), ("mine/final", "mine"), ("link", "mine"), ("mine/final", "other"),
                ("whole/checkpoints/step-00000024", "whole")):
            told = self.failure(f"run.out={folder}", "run.mode=finetune", f"run.init={init}")
            self.assertRegex(told, f"{init}: is in {folder}/(best|final|checkpoints), which the run writes; choose")
        for name in ("best", "final"):
            self.assertEqual(
                (out / name / "model.safetensors").read_bytes(),
                (self.folder / "whole" / "final" / "model.safetensors").read_bytes())

    def test_what_no_run_has_made_is_left_alone(self) -> None:
        for place in (
                "best/precious.txt", "final/precious.txt", "final", "log.jsonl", "samples.jsonl", "loss.png",
                "checkpoints/step-00000005/model.safetensors"):
            out = self.folder / "foreign"
            (out / place).parent.mkdir(parents=True)
            (out / place).write_text("mine\n")
            (out / "lock").write_text("mine\n")
            told = self.failure("run.out=foreign", "schedule.steps=5")
            self.assertRegex(told, f"foreign/{place.split('/')[0]}: would be replaced, but holds .*; move that, or")
            self.assertEqual([(out / n).read_text() for n in (place, "lock")], ["mine\n"] * 2)
            self.assertFalse((out / "checkpoints" / "step-00000005" / "training.pt").exists())
            shutil.rmtree(out)
        self.train("run.out=foreign", "schedule.steps=5")
        (out / "final" / "model.phi").write_text("mine\n")
        told = self.failure("run.out=foreign", "schedule.steps=5")
        self.assertRegex(told, "foreign/final: would be replaced, but holds what this run has not made .model.phi.;")
        (out / "final" / "model.phi").unlink()
        self.train("run.out=foreign", "schedule.steps=5")

    def test_a_run_killed_before_its_first_line_leaves_the_log_that_tells_whose_folder_it_is(self) -> None:
        settings = ("run.out=first", "run.best=same", "run.validate_every=2", "schedule.steps=4", "schedule.warmup=1")
        whole, out = self.train(*settings), self.folder / "first"
        shutil.rmtree(out / "checkpoints")  # as if killed after the first validation
        before = (out / "log.jsonl").read_bytes()
        here = os.getcwd()
        os.chdir(self.folder)
        try:
            training = Training(config.load(self.folder / "config.toml", list(settings)), processes.start("cpu"))
            training.lock.close()
        finally:
            os.chdir(here)
        self.assertEqual((out / "log.jsonl").read_bytes(), before)
        self.assertEqual(self.train(*settings), whole)

    def test_a_full_disk_is_told_and_the_checkpoint_before_stays(self) -> None:
        self.train("run.out=full", "schedule.steps=24", "run.checkpoint_every=24")
        before = (self.folder / "full" / "final" / "model.safetensors").read_bytes()
        for path in checkpoint.checkpoints(self.folder / "full"):
            shutil.rmtree(path)
        text = self.failure("run.out=full", file=20_000)  # no file may grow beyond this, as on a full disk
        self.assertRegex(text, "(?i)large|space|written")
        self.assertEqual((self.folder / "full" / "final" / "model.safetensors").read_bytes(), before)
        self.assertEqual(checkpoint.checkpoints(self.folder / "full"), [])
        self.assertFalse(list((self.folder / "full" / "checkpoints").glob(".*")))


if __name__ == "__main__":
    unittest.main()
