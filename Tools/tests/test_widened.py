"""Tests of small models in a larger shape: Hugging Face's logits stay the same."""
from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
import unittest.mock
from dataclasses import replace
from pathlib import Path

from needs import packages

packages("torch", "transformers", "safetensors")

import torch
from safetensors.torch import load_file, save_file
from transformers import PhiForCausalLM

from phitools import seeded, widened
from phitools.byte_tokenizer import END_OF_TEXT_ID
from phitools.shapes import SHAPES

SMALL = replace(SHAPES["phi-1"], hidden=48, intermediate=40, layers=2, heads=3, rows=280, tokens=270, context=64,
                end_of_text=END_OF_TEXT_ID)
WIDE = replace(SMALL, hidden=192, intermediate=100, layers=3, heads=6, rows=320)


class Widened(unittest.TestCase):
    def logits(self, folder: Path) -> torch.Tensor:
        model = PhiForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        with torch.no_grad():
            return model(torch.arange(20)[None] * 7).logits[0]

    def test_logits_stay_the_same(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            small, wide = Path(name, "small"), Path(name, "wide")
            seeded.write_checkpoint(small, SMALL)
            widened.write(small, WIDE, wide, "float32")
            right, found = self.logits(small), self.logits(wide)
            self.assertGreater(float(right.std()), 0.1)
            torch.testing.assert_close(found[:, :280], right, rtol=0, atol=1e-5 * float(right.std()))
            self.assertLess(float(found[:, 280:].max()), float(right.min()))
            self.assertEqual((wide / "tokenizer.json").read_bytes(), (small / "tokenizer.json").read_bytes())

    def test_what_does_not_fit_is_refused(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            small, wide = Path(name, "small"), Path(name, "wide")
            seeded.write_checkpoint(small, SMALL)
            for other in (
                    replace(WIDE, hidden=200, heads=5), replace(WIDE, heads=5), replace(WIDE, layers=1),
                    replace(WIDE, hidden=144, heads=6)):
                with self.assertRaises(ValueError):
                    widened.write(small, other, wide, "float32")
                self.assertFalse(wide.exists())
            seeded.write_checkpoint(small, replace(SMALL, kv_heads=1))
            with self.assertRaises(ValueError):
                widened.write(small, WIDE, wide, "float32")

    def test_faults_are_one_line_and_leave_nothing(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            small, wide = Path(name, "small"), Path(name, "wide")
            seeded.write_checkpoint(small, SMALL)

            def told(*options: str, out: Path = wide) -> str:
                with (contextlib.redirect_stderr(io.StringIO()) as told, unittest.mock.patch(
                        "sys.argv", ["widened", str(small), "--shape", "phi-1-small", *options, "-o", str(out)])):
                    try:
                        self.assertEqual(widened.main(), 1)
                    except SystemExit as error:
                        self.assertEqual(error.code, 2)
                return told.getvalue().strip().splitlines()[-1]
            for number in ("heads", "hidden", "layers", "rows"):
                self.assertIn(f"argument --{number}: 0 is to be 1 or more", told(f"--{number}", "0"))
            self.assertIn("heads must divide hidden", told("--heads", "5"))
            self.assertIn("small: is there already and would be replaced", told(out=small))
            fits = ("--hidden", "192", "--heads", "6", "--intermediate", "100", "--layers", "3", "--rows", "60000")
            with unittest.mock.patch.object(widened, "as_bytes", side_effect=OSError(28, "No space left on device")):
                self.assertEqual(
                    told(*fits), f"phitools.widened: {wide}: cannot be written (No space left on device)")
            self.assertEqual([p.name for p in Path(name).iterdir()], ["small"])

    def test_a_missing_tensor_is_not_zero(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            small, wide = Path(name, "small"), Path(name, "wide")
            seeded.write_checkpoint(small, SMALL)
            kept = load_file(small / "model.safetensors")
            del kept["model.final_layernorm.bias"]
            save_file(kept, small / "model.safetensors")
            with self.assertRaisesRegex(ValueError, "model.final_layernorm.bias is missing"):
                widened.write(small, WIDE, wide, "float32")


if __name__ == "__main__":
    unittest.main()
