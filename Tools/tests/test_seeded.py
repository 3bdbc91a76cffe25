"""Tests of seeded checkpoints: the rule in plain integers, the file's layout, and the generated tokenizer."""
from __future__ import annotations

import contextlib
import io
import json
import struct
import tempfile
import unittest
import unittest.mock
from dataclasses import replace
from fractions import Fraction
from math import prod
from pathlib import Path

import numpy as np

from phitools import seeded
from phitools.byte_tokenizer import END_OF_TEXT_ID, byte_pairs, generated_tokenizer
from phitools.shapes import SHAPES

MASK = (1 << 64) - 1
TINY = replace(SHAPES["phi-1"], hidden=24, intermediate=20, layers=2, heads=3, kv_heads=1, rows=280, tokens=270,
               end_of_text=END_OF_TEXT_ID)


def v_of(name: str, i: int, base_seed: int) -> int:
    """Return v by the rule at the top of seeded.py."""
    z = (seeded.fnv1a(name.encode()) ^ base_seed) + (i + 1) * 0x9E3779B97F4A7C15 & MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return ((z ^ z >> 31) >> 40) - (1 << 23)


class Rule(unittest.TestCase):
    def test_published_values(self) -> None:
        self.assertEqual(seeded.fnv1a(b""), 0xCBF29CE484222325)
        self.assertEqual(seeded.fnv1a(b"a"), 0xAF63DC4C8601EC8C)
        first = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]  # splitmix64 started at 0
        self.assertEqual(seeded.piece(0, 0, 3).tolist(), [(z >> 40) - (1 << 23) for z in first])

    def test_pieces_are_the_rule(self) -> None:
        name = "model.layers.0.mlp.fc1.weight"
        values = np.concatenate(list(seeded.pieces(name, seeded.PIECE + 9, "linear", TINY.exponents, 7)))
        for i in (0, 1, 1000, seeded.PIECE - 1, seeded.PIECE, seeded.PIECE + 8):
            self.assertEqual(values[i], v_of(name, i, 7) * 2.0**-28)
        self.assertLessEqual(np.abs(values).max(), 2.0**-5)
        self.assertAlmostEqual(values.std() * 2**5 * 3**0.5, 1, delta=0.02)

    def test_norm_weights_are_rounded_once(self) -> None:
        name = "model.final_layernorm.weight"
        for i, value in enumerate(seeded.tensor(TINY, name).tolist()):
            exact = 1 + Fraction(v_of(name, i, 1), 1 << 26)
            self.assertEqual(value, float(np.float32(float(exact))))  # float64 holds it exactly

    def test_bfloat16_rounds_to_nearest_even(self) -> None:
        values = np.array([0x3F808000, 0x3F818000, 0x3F808001, 0xBF807FFF], np.uint32).view(np.float32)
        self.assertEqual(struct.unpack("<4H", seeded.as_bytes(values, "bfloat16")), (0x3F80, 0x3F82, 0x3F81, 0xBF80))


class Checkpoint(unittest.TestCase):
    def test_file_holds_every_tensor_in_order(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for dtype, (_, size) in seeded.DTYPES.items():
                seeded.write_checkpoint(folder, TINY, dtype=dtype)
                data = (folder / "model.safetensors").read_bytes()
                length = int.from_bytes(data[:8], "little")
                header = json.loads(data[8 : 8 + length])
                del header["__metadata__"]
                end = 0
                for (tensor, shape, _), (given, entry) in zip(TINY.tensors(), header.items(), strict=True):
                    self.assertEqual((given, tuple(entry["shape"])), (tensor, shape))
                    self.assertEqual(entry["data_offsets"], [end, end + prod(shape) * size])
                    end += prod(shape) * size
                    if dtype == "float32":
                        stored = np.frombuffer(data, "<f4", prod(shape), 8 + length + entry["data_offsets"][0])
                        np.testing.assert_array_equal(stored.reshape(shape), seeded.tensor(TINY, tensor))
                self.assertEqual(len(data), 8 + length + end)
            self.assertEqual(json.loads((folder / "config.json").read_text())["vocab_size"], 280)

    def test_parameters_of_the_published_shapes(self) -> None:
        for name, count in (("phi-1", 1_418_270_720), ("phi-2", 2_779_683_840)):
            self.assertEqual(sum(prod(shape) for _, shape, _ in SHAPES[name].tensors()), count)


class Command(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.out = Path(scratch.name) / "out"

    def told(self, *options: str | Path) -> tuple[int, str]:
        """Run the command in this process; return its exit status and the last line that it tells."""
        small = "--hidden 24 --intermediate 20 --layers 1 --heads 3 --rows 300 --tokens 290".split()
        with (contextlib.redirect_stderr(io.StringIO()) as told, contextlib.redirect_stdout(io.StringIO()),
              unittest.mock.patch("sys.argv", ["seeded", *small, *map(str, options), "-o", str(self.out)])):
            try:
                status = seeded.main()
            except SystemExit as error:  # argparse's
                status = int(error.code)
        return status, told.getvalue().strip().splitlines()[-1]

    def test_what_is_no_phi_is_refused(self) -> None:
        for options, why in (
                ("--heads 0", "argument --heads: 0 is to be 1 or more"), ("--hidden 0", "--hidden: 0 is"),
                ("--layers -1", "--layers: -1 is"), ("--kv-heads 0", "--kv-heads: 0 is"),
                ("--rotary-factor nan", "--rotary-factor: nan is to be 0 or more, at most 1"),
                ("--rotary-factor 1.5", "--rotary-factor: 1.5 is"), ("--end-of-text -1", "--end-of-text: -1 is"),
                ("--end-of-text 290", "end of text 290 is to be 0 or more, at most 289"),
                ("--heads 5", "5 heads must divide hidden 24"), ("--kv-heads 2", "kv heads 2 must divide heads"),
                ("--rows 280", "rows 280 is to be 290 or more"), ("--layers 2000", "layers 2000 is to be 1 or more, "),
                ("--rotary-factor 0.9", "7 of them rotated"), ("--tokens 100 --end-of-text 9", "257 to 65793 tokens"),
                (f"--end-of-text 9 --tokenizer {self.out.parent}", "no tokenizer here")):
            status, line = self.told(*options.split())
            self.assertNotEqual(status, 0, options)
            self.assertIn(why, line)
            self.assertEqual(list(self.out.parent.iterdir()), [], options)
        self.assertEqual(self.told()[0], 0)
        self.assertEqual(
            sorted(p.name for p in self.out.iterdir()), ["config.json", "model.safetensors", "tokenizer.json"])

    def test_a_folder_with_files_is_left_alone(self) -> None:
        self.out.mkdir()
        (self.out / "thesis.txt").write_text("mine")
        status, line = self.told()
        self.assertEqual((status, line), (
            1, f"phitools.seeded: {self.out}: is there already and would be replaced; choose another folder"))
        self.assertEqual([p.name for p in self.out.iterdir()], ["thesis.txt"])

    def test_a_full_disk_leaves_nothing(self) -> None:
        with unittest.mock.patch.object(seeded, "pieces", side_effect=OSError(28, "No space left on device")):
            self.assertEqual(self.told(), (
                1, f"phitools.seeded: {self.out}: cannot be written (No space left on device)"))
        self.assertEqual(list(self.out.parent.iterdir()), [])


class GeneratedTokenizer(unittest.TestCase):
    def test_pairs_are_all_and_distinct(self) -> None:
        self.assertEqual(len(set(byte_pairs())), 65_536)

    def test_ids_are_dense(self) -> None:
        for tokens in (257, 290, 5000):
            made = generated_tokenizer(tokens)
            self.assertEqual(sorted(made["model"]["vocab"].values()), list(range(tokens)))

    def test_hugging_face_reads_it(self) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError:
            self.skipTest("needs tokenizers")
        made = Tokenizer.from_str(json.dumps(generated_tokenizer(290)))
        text = "the cat, é\n\n  and<|endoftext|>\t€ done"
        ids = made.encode(text).ids
        self.assertEqual(made.decode(ids, skip_special_tokens=False), text)
        self.assertLess(len(ids), len(text.encode()))
        self.assertIn(END_OF_TEXT_ID, ids)


if __name__ == "__main__":
    unittest.main()
