"""Tests of fine-tuning: examples, packing, masks, LoRA beside PEFT, resuming, and the command as it is used."""
from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

from needs import packages

packages("torch", "tokenizers", "safetensors", "matplotlib", "transformers", "peft")

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from phitools.data import bpe
from phitools.exercises.generate import training
from phitools.finetune import __main__ as finetune
from phitools.finetune import estimate, examples, packing
from phitools.finetune.examples import Example
from phitools.packed import Sampler, open_stream, sha256
from phitools.train import base, config, lora
from phitools.train.model import Phi
from phitools.train.shape import Shape

TOOLS = Path(__file__).resolve().parents[1]
PHI = TOOLS.parent / ".build" / "release" / "phi"
SHAPE = Shape(420, 32, 2, 2, 48, 256)


def make_base(folder: Path, seed: int = 3) -> None:
    """Write a phi as transformers does, with a tokenizer."""
    from transformers import PhiConfig, PhiForCausalLM
    torch.manual_seed(seed)
    PhiForCausalLM(PhiConfig(
        vocab_size=420, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=256, layer_norm_eps=1e-4, bos_token_id=399, eos_token_id=399)
    ).half().save_pretrained(folder)
    bpe.save(bpe.train([e.source for e in training(1, 300)], 400), folder, 256)


def write_examples(path: Path, count: int) -> None:
    path.write_text("".join(
        json.dumps({"prompt": e.prompt, "completion": e.solution}) + "\n" for e in training(2, count)))


class Examples(unittest.TestCase):
    def setUp(self) -> None:
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = Path(self.scratch.name)

    def test_both_kinds_of_lines_and_folders(self) -> None:
        data = self.folder / "data"
        (data / "more").mkdir(parents=True)
        (data / "a.jsonl").write_text(
            '{"prompt": "p", "completion": "c"}\n\n{"text": "t", "id": 3}\n{"text": "t"}\n{"text": " "}\n')
        (data / "more" / "b.py").write_text("x = 1\n")
        (data / "c.txt").write_bytes(b"\xff")
        (data / "d.bin").write_bytes(b"")
        (data / "e.jsonl").write_bytes(b'{"text": "\xff"}\n')
        (data / "link.txt").symlink_to("/etc/hostname")
        (data / "link.jsonl").symlink_to(data / "a.jsonl")
        os.mkfifo(data / "pipe.txt")
        os.mkfifo(data / "pipe.jsonl")
        found, left = examples.read(data)
        self.assertEqual(set(found), {Example("p", "c"), Example("", "t"), Example("", "x = 1\n")})
        self.assertEqual(
            left, {
                "duplicate": 1, "empty": 1, "unreadable": 2, "symbolic link": 2, "not a regular file": 2,
                "of another kind of file": 1})

    def test_marks_line_ends_and_capitals_are_as_elsewhere(self) -> None:
        (self.folder / "A.JSONL").write_bytes(b'\xef\xbb\xbf{"text": "t"}\r\n{"text": "u\\r\\n"}\r\n')
        (self.folder / "B.Txt").write_bytes(b"\xef\xbb\xbfx\r\ny\n")
        found, left = examples.read(self.folder)
        self.assertEqual((set(found), left), ({Example("", t) for t in ("t", "u\r\n", "x\ny\n")}, {}))
        self.assertEqual(len(examples.read(self.folder / "A.JSONL")[0]), 2)

    def step(self, folder: Path, done: bool = True) -> None:
        """Make a folder as a step of the data leaves it."""
        (folder / "documents").mkdir(parents=True)
        (folder / "documents" / "00000.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n')
        (folder / "problems.jsonl").write_text('{"task_id": 1}\n')
        (folder / "merges.txt").write_text("a b\n")
        (folder / "logs" / "answers").mkdir(parents=True)
        (folder / "logs" / "answers" / "00000.jsonl").write_text('{"text": "c"}\n{"text": "d"}\n')
        if done:
            inside = folder / "documents" / "00000.jsonl"
            (folder / "manifest.json").write_text(json.dumps(
                {"step": "decontaminate", "files": {"documents/00000.jsonl": sha256(inside)}}))
        else:
            (folder / "logs" / "begun.json").write_text("{}")

    def test_of_a_step_only_its_documents_are_read(self) -> None:
        packages("datatrove", "orjson")
        self.step(self.folder / "all" / "clean")
        for data in (self.folder / "all" / "clean", self.folder / "all"):
            self.assertEqual(examples.read(data), ([Example("", "a"), Example("", "b")], {}))
        (self.folder / "packed").mkdir()
        (self.folder / "packed" / "manifest.json").write_text('{"step": "pack", "shards": []}')
        with self.assertRaisesRegex(ValueError, "packed: is the folder of a step without documents"):
            examples.read(self.folder / "packed")

    def test_an_unfinished_step_is_refused(self) -> None:
        self.step(self.folder / "all" / "begun", done=False)
        for inside in (
                "all", "all/begun", "all/begun/logs/answers", "all/begun/documents", "all/begun/documents/00000.jsonl"):
            with self.assertRaisesRegex(ValueError, "begun: is of a step that has not finished"):
                examples.read(self.folder / inside)

    def test_what_a_run_writes_is_not_its_data(self) -> None:
        data, out = self.folder / "data", self.folder / "data" / "out"
        (out / "data").mkdir(parents=True)
        (data / "a.jsonl").write_text('{"text": "t"}\n{"text": "u"}\n')
        (out / "samples.jsonl").write_text('{"step": 1}\n')
        (out / "data" / "note.txt").write_text("x")
        self.assertEqual(examples.read(data, out), ([Example("", "t"), Example("", "u")], {}))
        with self.assertRaisesRegex(ValueError, "data: is the folder of --out too"):
            examples.read(data, data)

    def test_a_file_that_cannot_be_read_is_named(self) -> None:
        for suffix in (".jsonl", ".txt"):
            path = self.folder / f"a{suffix}"
            path.write_bytes(b'{"text": "\xff"}\n')
            with self.assertRaisesRegex(ValueError, f"a{suffix}: unreadable"):
                examples.read(path)
            path.unlink()
            os.mkfifo(path)
            with self.assertRaisesRegex(ValueError, f"a{suffix}: not a regular file"):
                examples.read(path)

    def test_a_string_may_hold_other_separators_and_a_link_may_be_given(self) -> None:
        texts = ["a\u2028b", "a\u2029b", "a\x85b"]
        (self.folder / "a.jsonl").write_text(
            "\r\n".join(json.dumps({"text": t}, ensure_ascii=False) for t in texts), encoding="utf-8", newline="")
        (self.folder / "b.jsonl").symlink_to("a.jsonl")
        self.assertEqual(examples.read(self.folder / "b.jsonl"), ([Example("", t) for t in texts], {}))

    def test_bad_lines_are_named(self) -> None:
        path = self.folder / "a.jsonl"
        for line, why in (
                ("{", "line 2: not JSON"), ("[]", "line 2: needs the strings"), ('{"prompt": "x"}', "line 2: needs"),
                ('{"text": "\\ud800"}', "line 2: has half of a surrogate pair"),
                ('{"prompt": "\\ud800", "completion": "c"}', "line 2: has half"),
                ('{"text": 1}', "line 2: needs"), ('{"text": "t"}', "1 examples are too few")):
            path.write_text(f'{{"text": "t"}}\n{line}\n')
            with self.assertRaisesRegex(ValueError, why):
                examples.read(path)
        with self.assertRaisesRegex(FileNotFoundError, "b.jsonl: no such file"):
            examples.read(self.folder / "b.jsonl")
        (self.folder / "c.csv").write_text("a,b")
        with self.assertRaisesRegex(ValueError, "c.csv: is to be .jsonl"):
            examples.read(self.folder / "c.csv")

    def test_the_split_is_of_all_and_has_both(self) -> None:
        found = [Example("", str(i)) for i in range(30)]
        for share, count in ((0.1, 3), (0.0, 1), (1.0, 29)):
            train, held = examples.split(found, share, 1)
            self.assertEqual((len(held), set(train) | set(held), set(train) & set(held)), (count, set(found), set()))
        self.assertEqual(examples.split(found, 0.1, 1), examples.split(found, 0.1, 1))

    def test_rows_hold_whole_examples(self) -> None:
        bpe.save(tokenizer := bpe.train([e.source for e in training(1, 300)], 400), self.folder / "t", 64)
        end = bpe.end_of_text(tokenizer)
        found = [Example(e.prompt, e.solution) for e in training(2, 40)] + [
            Example("", "some words " * 40), Example("x" * 900, "y")]
        tokens = {e: packing.encode(e, tokenizer, end) for e in found}
        packed = packing.pack(tokens, end, 160)
        packed.write(self.folder / "t" / "tokenizer.json", self.folder / "p")
        totals = packed.totals
        stream = open_stream([self.folder / "p"], sha256(self.folder / "t" / "tokenizer.json"), True)
        self.assertEqual((len(stream), stream.rows, totals["rows"] * 160), (len(stream), 160, len(stream)))
        self.assertEqual((packed.stream.digest, packed.stream.rows), (stream.digest, stream.rows))
        ids, marks = stream.span(0, len(stream)), stream.targets_of(0, len(stream))
        rows = ids.reshape(-1, 160).tolist()
        whole = list(tokens.values())
        short = [[i for i, _ in coded] for coded in whole if len(coded) <= 160]
        self.assertGreater(len(short), 20)
        for coded in short:
            self.assertTrue(any(row[i:i + len(coded)] == coded for row in rows for i in range(160 - len(coded) + 1)))
        self.assertEqual(totals["too long"], sum(len(c) > 160 and bool(e.prompt) for c, e in zip(whole, found)))
        self.assertGreater(totals["too long"], 0)
        first = tokenizer.encode(found[0].completion).ids
        at = next(i for i in range(len(ids)) if ids[i:i + len(first) + 1].tolist() == [*first, end])
        self.assertEqual(marks[at:at + len(first) + 1].tolist(), [1] * (len(first) + 1))
        self.assertEqual(int(marks[at - 1]), 0)
        self.assertEqual(int(marks.sum()), totals["targets"])
        sampler = Sampler(stream, 160, 4, 1)
        self.assertEqual(sorted(
            sampler.batch(i, 0, 4)[j, :-1].tolist() for i in range(-(-len(rows) // 4)) for j in range(4)
            if 4 * i + j < len(rows)), sorted(rows))
        with self.assertRaisesRegex(ValueError, "rows of 160 tokens"):
            Sampler(stream, 64, 4, 1)
        with self.assertRaisesRegex(ValueError, "all 1 examples are longer"):
            packing.pack(dict([*tokens.items()][-1:]), end, 64)


class Model(unittest.TestCase):
    def test_attention_stays_within_a_document(self) -> None:
        torch.manual_seed(1)
        model = Phi(SHAPE).eval()
        a, b = torch.randint(0, 420, (2, 1, 20))
        together = torch.cat([a, b], 1)
        documents = torch.arange(40)[None] // 20
        torch.testing.assert_close(
            model(together, documents=documents), torch.cat([model(a), model(b)], 1), rtol=1e-4, atol=1e-5)
        self.assertGreater(float((model(together) - model(together, documents=documents)).detach().abs().max()), 0.01)

    def test_lora_counts_and_trains_its_updates_only(self) -> None:
        for targets in (list(lora.MODULES), ["fc2"], ["q_proj", "dense"]):
            model, settings = Phi(SHAPE), config.Lora(3, 6.0, targets)
            before = model(torch.arange(30)[None])
            lora.adapt(model, settings)
            self.assertTrue(torch.equal(model(torch.arange(30)[None]), before))
            trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
            self.assertEqual(sum(p.numel() for p in trained.values()), lora.parameters(SHAPE, settings))
            model(torch.arange(30)[None], torch.arange(1, 31)[None]).backward()
            self.assertEqual({n for n, p in model.named_parameters() if p.grad is not None}, set(trained))

    def test_the_estimate_counts_what_is_trained(self) -> None:
        self.assertEqual(SHAPE.parameters, sum(p.numel() for p in Phi(SHAPE).parameters()))
        whole, small = (estimate.memory(SHAPE, config.Lora(r), 1, 100, "float32") for r in (0, 2))
        self.assertEqual((whole["weights"], whole["training"]), (4 * SHAPE.parameters, 12 * SHAPE.parameters))
        self.assertLess(small["training"], whole["training"] / 4)
        copies, parts = (
            estimate.memory(SHAPE, config.Lora(0), 1, 100, "float32", 4, s)["training"] for s in ("ddp", "fsdp"))
        self.assertEqual((copies, parts), (16 * SHAPE.parameters, 3 * SHAPE.parameters))

    def test_the_estimate_of_a_pass_is_what_autograd_keeps(self) -> None:
        shape = Shape(500, 128, 4, 4, 512, 256)
        for rank, documents, precision in (
                (0, False, "float32"), (0, True, "float32"), (4, True, "float32"), (0, True, "bfloat16"),
                (4, True, "bfloat16")):
            with self.subTest(rank=rank, documents=documents, precision=precision):
                kept = self.kept(shape, config.Lora(rank), 2, 256, documents, precision)
                told = estimate.memory(shape, config.Lora(rank), 2, 256, precision)
                passes = told["passes"] - 12 * 512 * shape.rows  # the loss's own, which are gone by then
                copies = 2 * shape.block_parameters if precision == "bfloat16" else 0
                self.assertAlmostEqual(kept / (passes + copies), 1, delta=0.1)

    @staticmethod
    def kept(shape: Shape, settings: config.Lora, sequences: int, context: int, documents: bool, precision: str) -> int:
        """The bytes of what autograd keeps of a pass."""
        model, kept = Phi(shape), {}
        if settings.rank:
            lora.adapt(model, settings)
        own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage  # alive, so that no other has its address
            return tensor
        ids = torch.arange(sequences * context).view(sequences, context) % shape.rows
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t), \
                torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            model(ids, ids, ids // 50 if documents else None)
        return sum(s.nbytes() for s in kept.values())


class Command(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = Path(cls.scratch.name)
        make_base(cls.folder / "base")
        write_examples(cls.folder / "examples.jsonl", 50)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.scratch.cleanup()

    def tune(self, *options: str, processes: int = 1) -> str:
        """Run the command; return what it printed."""
        many = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
        many = many if processes > 1 else []
        done = subprocess.run(
            [sys.executable, "-m", *many, "phitools.finetune", "--base", "base", "--data", "examples.jsonl", *options],
            cwd=self.folder, env=os.environ | {"PYTHONPATH": str(TOOLS), "OMP_NUM_THREADS": "1"}, capture_output=True,
            text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout + done.stderr

    def failure(self, *options: str) -> str:
        """Run the command in this process, where it must fail; return the last line of standard error."""
        here, line = os.getcwd(), ["finetune", "--base", "base", "--data", "examples.jsonl", "--out", "fault", *options]
        os.chdir(self.folder)
        try:
            with contextlib.redirect_stderr(io.StringIO()) as told, unittest.mock.patch("sys.argv", line):
                self.assertEqual(finetune.main(), 1)
        finally:
            os.chdir(here)
        return told.getvalue().strip().splitlines()[-1]

    def interrupted(self, error: BaseException, code: int) -> str:
        """Run the command with an error in its first step; return what it tells."""
        with (unittest.mock.patch.object(finetune, "run", side_effect=error),
              unittest.mock.patch("sys.argv", ["finetune", "--base", "b", "--data", "d", "--out", "o"]),
              contextlib.redirect_stderr(io.StringIO()) as told):
            self.assertEqual(finetune.main(), code)
        return told.getvalue().strip()

    def losses(self, out: str) -> list[tuple[float, float]]:
        lines = [json.loads(text) for text in (self.folder / out / "log.jsonl").read_text().splitlines()]
        return [(r["loss"], r["norm"]) for r in lines if "loss" in r]

    def text(self, *command: str) -> str:
        done = subprocess.run([str(PHI), *command], cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_lora_learns_loads_in_peft_and_converts(self) -> None:
        told = self.tune("--out", "lora", "--lora", "4", "--epochs", "4", "--sequences", "4", "--rate", "0.01")
        for part in ("45 examples to train, 5 to validate", "memory: about", "time: about", "bits a byte", "best: step",
                     "phi convert base --adapter lora/best -o lora/model.phi"):
            self.assertIn(part, told)
        losses = self.losses("lora")
        self.assertLess(losses[-1][0], losses[0][0] - 0.1)  # the base is random, and its embeddings stay
        folder = self.folder / "lora" / "best"
        adapter = json.loads((folder / "adapter_config.json").read_text())
        self.assertEqual((adapter["r"], adapter["lora_alpha"]), (4, 8.0))
        self.assertEqual(adapter["base_model_name_or_path"], "base")
        theirs = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(self.folder / "base", dtype=torch.float32), folder).eval()
        model = Phi(base.read_shape(self.folder / "base"))
        model.load_state_dict(base.load_weights(self.folder / "base", model.shape))
        lora.adapt(model, config.Lora(4, 8.0))
        lora.load(folder, model)
        ids = torch.arange(100)[None] * 4
        found = model.eval()(ids)
        torch.testing.assert_close(found, theirs(input_ids=ids).logits, rtol=1e-4, atol=1e-4)
        merged = theirs.merge_and_unload()(input_ids=ids).logits
        torch.testing.assert_close(found, merged, rtol=1e-4, atol=1e-4)
        if PHI.exists():
            self.text("convert", "base", "--adapter", "lora/best", "-o", "lora/model.phi", "--type", "f32")
            (self.folder / "ids.json").write_text(json.dumps(ids[0].tolist()))
            self.text("logits", "-m", "lora/model.phi", "--ids", "ids.json", "-o", "logits.npy")
            import numpy as np
            logits = torch.from_numpy(np.load(self.folder / "logits.npy"))
            torch.testing.assert_close(logits, found[0, :, :logits.shape[1]].detach(), rtol=1e-3, atol=1e-3)
        before = self.losses("lora")
        for path in (*sorted((self.folder / "lora" / "checkpoints").iterdir())[1:], self.folder / "lora" / "final"):
            shutil.rmtree(path)  # as if killed before
        self.tune("--out", "lora", "--lora", "4", "--epochs", "4", "--sequences", "4", "--rate", "0.01")
        self.assertEqual(self.losses("lora"), before)
        self.assertNotIn("Warning", told)
        # Another run in its folder: of all weights, or of another base.
        self.assertRegex(self.failure("--out", "lora"), "lora/checkpoints/.*belongs to a run of another configuration")
        shutil.copytree(self.folder / "base", self.folder / "base-2")
        make_base(self.folder / "base-2", seed=2)
        other = ("--base", "base-2", "--lora", "4", "--epochs", "4", "--sequences", "4", "--rate", "0.01")
        told = self.failure("--out", "lora", *other, "--set", "lora.base=base")
        self.assertRegex(told, "belongs to a run of another configuration")

    def test_full_learns_and_writes_a_checkpoint(self) -> None:
        told = self.tune("--out", "full", "--epochs", "6", "--sequences", "4", "--rate", "0.01", "--prompt", "def f(")
        self.assertIn("phi convert full/best -o full/model.phi", told)
        self.assertIn("--- def f(", told)
        losses = self.losses("full")
        self.assertLess(losses[-1][0], losses[0][0] - 1)
        theirs = AutoModelForCausalLM.from_pretrained(self.folder / "full" / "best")
        model = Phi(base.read_shape(self.folder / "full" / "best"))
        self.assertEqual(model.shape.epsilon, 1e-4)
        model.load_state_dict(base.load_weights(self.folder / "full" / "best", model.shape))
        ids = torch.arange(100)[None] * 4
        torch.testing.assert_close(model.eval()(ids), theirs(input_ids=ids).logits, rtol=1e-4, atol=1e-4)
        if PHI.exists():
            self.text("convert", "full/best", "-o", "full/model.phi", "--type", "q8")
            self.assertTrue(self.text("complete", "-m", "full/model.phi", "-n", "4", "def f("))
        two = self.tune("--out", "two", "--epochs", "2", "--sequences", "4", "--rate", "0.01", processes=2)
        self.assertIn("best: step", two)
        self.tune("--out", "one", "--epochs", "2", "--sequences", "4", "--rate", "0.01")
        for a, b in zip(self.losses("one"), self.losses("two")):
            self.assertAlmostEqual(a[0], b[0], delta=1e-4)

    def test_a_folder_of_data_is_left_alone(self) -> None:
        mine = self.folder / "mine" / "data" / "train" / "mine.jsonl"
        mine.parent.mkdir(parents=True)
        mine.write_bytes((self.folder / "examples.jsonl").read_bytes())
        for options in ((), ("--plan",)):
            self.assertIn("train: is there already and would be replaced", self.failure("--out", "mine", *options))
        self.assertTrue(mine.exists())

    def contents(self, out: str) -> dict[str, tuple[int, bytes]]:
        return {
            str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted((self.folder / out).rglob("*"))
            if p.is_file() and p.name != "lock"}

    def test_a_refused_run_has_changed_nothing(self) -> None:
        settings = ("--out", "twice", "--lora", "2", "--epochs", "1", "--sequences", "8", "--context", "192")
        self.tune(*settings)
        before = self.contents("twice")
        for other in (
                ("--epochs", "2"), ("--context", "256"), ("--set", "batch.micro=3"), ("--set", "batch.context=64"),
                ("--prompt", "")):
            told = self.failure(*settings, *other)
            self.assertRegex(told, "another configuration|does not divide|rows of 192 tokens|has no tokens")
            self.assertEqual(self.contents("twice"), before, other)
        (self.folder / "foreign" / "final").mkdir(parents=True)
        (self.folder / "foreign" / "final" / "precious.txt").write_text("mine")
        self.assertRegex(self.failure("--out", "foreign"), "foreign/final: would be replaced, but holds what this run")
        self.assertEqual([p[-12:] for p in self.contents("foreign")], ["precious.txt"])
        # Both parts are tried before one is written.
        mine = self.folder / "half" / "data" / "train" / "mine.txt"
        mine.parent.mkdir(parents=True)
        mine.write_text("mine")
        self.assertRegex(self.failure("--out", "half"), "train: is there already")
        self.assertEqual([p[-8:] for p in self.contents("half")], ["mine.txt"])

    def test_the_base_is_not_replaced(self) -> None:
        for name in ("best", "final"):
            shutil.copytree(self.folder / "base", self.folder / "own" / name)
            before = self.contents("own")
            told = self.failure("--base", f"own/{name}", "--lora", "2", "--out", "own")
            self.assertRegex(told, f"own/{name}: is in own/{name}, which the run writes; choose another run.out")
            self.assertEqual(self.contents("own"), before)
            shutil.rmtree(self.folder / "own")

    def test_a_plan_writes_no_checkpoint(self) -> None:
        self.assertIn("time: about", self.tune("--out", "plan", "--plan"))
        self.assertFalse((self.folder / "plan" / "checkpoints").exists())

    def test_keys_of_the_trainer_hold_to_the_end(self) -> None:
        keys = ("run.out=elsewhere", "lora.rank=2", "schedule.steps=2", "schedule.warmup=0")
        told = self.tune("--out", "here", *(x for key in keys for x in ("--set", key)))
        self.assertIn("kept in elsewhere/best", told)
        self.assertIn("phi convert base --adapter elsewhere/best -o elsewhere/model.phi", told)
        adapter = json.loads((self.folder / "elsewhere" / "best" / "adapter_config.json").read_text())
        self.assertEqual((adapter["r"], adapter["lora_alpha"]), (2, 4.0))  # or nothing would be learned
        told = self.failure("--lora", "4", "--set", "lora.alpha=0")
        self.assertIn("lora.alpha must be positive", told)

    def test_faults_are_one_line(self) -> None:
        other = "cpu" if torch.cuda.is_available() else "cuda"
        for options, why in (
                (("--base", "nowhere"), "nowhere: no such folder, and no id of a model"),
                (("--data", "nowhere.jsonl"), "nowhere.jsonl: no such file"),
                (("--context", "999"), "--context 999: base has 256 positions"),
                (("--validation", "10"), "--validation 10.0 is to be below 1: it is a share"),
                (("--targets", "fc1"), "--targets fc1 needs --lora"),
                (("--epochs", "-1"), "--epochs -1.0 is to be"), (("--epochs", "0"), "--epochs 0.0 is to be above 0"),
                (("--base", "./nowhere"), "no such folder, and no id"),
                (("--set", "run.best=x"), "--set run.best: fine-tuning sets it itself"),
                (("--set", "model.layers=4"), "--set model.layers: fine-tuning sets it itself"),
                (("--lora", "4", "--targets", "qkv"), "lora.targets"),
                (("--context", "8"), "examples are longer than 8 tokens"),
                (("--set", "run.x=1"), "run.x: no such key"),
                (("--set", f"run.device={other}"), f"run.device = {other}: this runs on "),
                (("--set", "optimizer.clip"), "expected table.key=VALUE")):
            self.assertRegex(self.failure(*options), f"^phitools.finetune: .*{why}")
        told = self.interrupted(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ..."), 1)
        self.assertRegex(told, "^phitools.finetune: out of memory; use --lora")
        self.assertRegex(self.interrupted(KeyboardInterrupt(), 130), "^phitools.finetune: interrupted; start it again")
        settings = self.folder / "base" / "config.json"
        before = settings.read_text()
        settings.write_text(before.replace('"qk_layernorm": false', '"qk_layernorm": true'))
        self.assertRegex(self.failure(), "config.json: qk_layernorm = true is not supported")
        settings.write_text(before)


if __name__ == "__main__":
    unittest.main()
