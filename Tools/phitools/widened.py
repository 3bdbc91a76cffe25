"""A small trained phi in a larger shape: the same function, the larger model's cost.

    python -m phitools.widened CHECKPOINT --shape phi-1 -o DIR
    python -m phitools.widened CHECKPOINT --hidden 1920 --heads 30 --intermediate 7680 -o DIR

For timings that depend on the text, such as speculation's: a seeded checkpoint writes noise, this one what the small
model writes. Reads float32 or float16 of one model.safetensors.

How it stays the same function, in exact arithmetic: the hidden state is repeated, which leaves a layer norm's mean and
variance as they are, and weights behind it are divided by the number of copies. Each head's dimensions take the places
of the larger head that have their frequencies of rotation, and queries are scaled for the larger head's divisor. More
heads, channels and layers are zero, and more rows of the head have a low bias, so that their tokens are never chosen.
"""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from math import prod, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from phitools.seeded import DTYPES, as_bytes, copy_tokenizer, header
from phitools.shapes import SHAPES, Shape

UNUSED = -100.0  # the logit of rows that the small model has not


def narrow_shape(config: dict[str, Any]) -> Shape:
    """Return the shape in a config.json; raise ValueError for what the wider model cannot express."""
    if config.get("model_type") != "phi" or config.get("qk_layernorm") or config.get("rope_scaling"):
        raise ValueError("is not a plain phi")
    heads = config["num_attention_heads"]
    if config.get("num_key_value_heads") not in (None, heads):
        raise ValueError("has grouped queries")
    return Shape(
        hidden=config["hidden_size"], intermediate=config["intermediate_size"], layers=config["num_hidden_layers"],
        heads=heads, rotary_factor=config.get("partial_rotary_factor", 0.5), rows=config["vocab_size"],
        tokens=config["vocab_size"], context=config["max_position_embeddings"], end_of_text=config["eos_token_id"])


class Widening:
    """The places of a narrow model's weights in a wide one."""

    def __init__(self, narrow: Shape, wide: Shape) -> None:
        self.narrow, self.wide = narrow, wide
        self.copies, self.factor = wide.hidden // narrow.hidden, wide.head_size // narrow.head_size
        small, large = (round(s.head_size * s.rotary_factor) // 2 for s in (narrow, wide))
        fits = (
            wide.hidden == narrow.hidden * self.copies and wide.hidden % wide.heads == 0
            and wide.head_size == narrow.head_size * self.factor and large == small * self.factor
            and all(getattr(wide, n) >= getattr(narrow, n) for n in ("intermediate", "layers", "heads", "rows")))
        if not fits:
            raise ValueError(
                f"hidden size {wide.hidden} and head size {wide.head_size} are to be multiples of the small model's "
                f"{narrow.hidden} and {narrow.head_size}, rotated dimensions too, and nothing may become smaller")
        rotated = np.arange(small) * self.factor
        rest = 2 * large + np.arange(narrow.head_size - 2 * small)
        head = np.concatenate([rotated, large + rotated, rest])
        self.of_heads = (np.arange(narrow.heads)[:, None] * wide.head_size + head).reshape(-1)

    def __call__(self, name: str, shape: tuple[int, ...], small: dict[str, np.ndarray]) -> np.ndarray:
        """Return the wide model's tensor of a name."""
        module, kind = name.rsplit(".", 1)
        part = module.rsplit(".", 1)[-1]
        if name not in small:  # a layer that the narrow model has not
            return np.full(shape, 1 if (part, kind) == ("input_layernorm", "weight") else 0, np.float32)
        given = small[name].astype(np.float32)
        out = np.full(shape, UNUSED if name == "lm_head.bias" else 0, np.float32)
        scale = sqrt(self.factor) if part == "q_proj" else 1
        if part in ("q_proj", "k_proj", "v_proj"):
            out[self.of_heads] = scale * (given if kind == "bias" else self._spread(given))
        elif part == "dense" and kind == "weight":
            out[:, self.of_heads] = np.tile(given, (self.copies, 1))
        elif part == "fc2" and kind == "weight":
            out[:, :given.shape[1]] = np.tile(given, (self.copies, 1))
        elif part in ("dense", "fc2", "input_layernorm", "final_layernorm"):
            out[:] = np.tile(given, self.copies)
        elif part == "embed_tokens":
            out[:len(given)] = np.tile(given, (1, self.copies))
        else:  # fc1 and lm_head
            out[:len(given)] = given if kind == "bias" else self._spread(given)
        return out

    def _spread(self, weights: np.ndarray) -> np.ndarray:
        return np.tile(weights, (1, self.copies)) / self.copies


def write(checkpoint: Path, wide: Shape, folder: Path, dtype: str) -> None:
    """Write the checkpoint in a wide shape; raise ValueError where it does not fit."""
    narrow = narrow_shape(json.loads((checkpoint / "config.json").read_text(encoding="utf-8")))
    wide = replace(wide, end_of_text=narrow.end_of_text, context=narrow.context, rotary_factor=narrow.rotary_factor)
    widening, small = Widening(narrow, wide), load_file(checkpoint / "model.safetensors")
    folder.mkdir(parents=True, exist_ok=True)
    copy_tokenizer(checkpoint, folder)
    (folder / "config.json").write_text(json.dumps(wide.config(dtype), indent=2) + "\n", encoding="utf-8")
    with (folder / "model.safetensors").open("wb") as file:
        file.write(header(wide, dtype))
        for values in tensors(widening, small):
            file.write(as_bytes(values, dtype))


def tensors(widening: Widening, small: dict[str, np.ndarray]) -> Iterator[np.ndarray]:
    for name, dimensions, _ in widening.wide.tensors():
        values = widening(name, dimensions, small)
        assert values.size == prod(dimensions)
        yield values


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="phitools.widened", description="Write a small phi in a larger shape, with the same function.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="phi-1", help="the larger shape")
    for number in ("hidden", "intermediate", "layers", "heads", "rows"):
        parser.add_argument(f"--{number}", type=int, help="override the shape's value")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16")
    parser.add_argument("-o", dest="folder", type=Path, required=True)
    arguments = parser.parse_args()
    given = {f.name: getattr(arguments, f.name, None) for f in fields(Shape)}
    wide = replace(SHAPES[arguments.shape], **{name: value for name, value in given.items() if value is not None})
    try:
        write(arguments.checkpoint, wide, arguments.folder, arguments.dtype)
    except (OSError, ValueError, KeyError) as error:
        print(f"{arguments.checkpoint}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
