"""A small trained phi in a larger shape: the same function, the larger model's cost.

    python -m phitools.widened CHECKPOINT --shape phi-1 -o DIR
    python -m phitools.widened CHECKPOINT --hidden 1920 --heads 30 --intermediate 7680 -o DIR

For timings that depend on the text, such as speculation's: a seeded checkpoint writes noise, this one what the small
model writes. Reads what the trainer reads, and refuses what it refuses.

How it stays the same function, in exact arithmetic: the hidden state is repeated, which leaves a layer norm's mean and
variance as they are, and weights behind it are divided by the number of copies. Each head's dimensions take the places
of the larger head that have their frequencies of rotation, and queries are scaled for the larger head's divisor. More
heads, channels and layers are zero, and more rows of the head have a low bias, so that their tokens are never chosen.
"""
from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields, replace
from math import sqrt
from pathlib import Path

import numpy as np

from phitools.durable import check_free, write_folder
from phitools.output import command, say
from phitools.program import number
from phitools.seeded import DTYPES, as_bytes, copy_tokenizer, header
from phitools.shapes import SHAPES, Shape
from phitools.train import base
from phitools.train.model import to_hugging_face
from phitools.train.shape import Shape as NarrowShape

UNUSED = -100.0  # the logit of rows that the small model has not


class Widening:
    """The places of a narrow model's weights in a wide one."""

    def __init__(self, narrow: NarrowShape, wide: Shape) -> None:
        head_size = narrow.hidden // narrow.heads
        self.copies, self.factor = wide.hidden // narrow.hidden, wide.head_size // head_size
        small, large = (round(size * narrow.rotary) // 2 for size in (head_size, wide.head_size))
        fits = (
            wide.hidden == narrow.hidden * self.copies and wide.hidden % wide.heads == 0
            and wide.head_size == head_size * self.factor and large == small * self.factor
            and all(getattr(wide, n) >= getattr(narrow, n) for n in ("intermediate", "layers", "heads", "rows")))
        if not fits:
            raise ValueError(
                f"hidden size {wide.hidden} and head size {wide.head_size} are to be multiples of the small model's "
                f"{narrow.hidden} and {head_size}, rotated dimensions too, and nothing may become smaller")
        rotated = np.arange(small) * self.factor
        rest = 2 * large + np.arange(head_size - 2 * small)
        head = np.concatenate([rotated, large + rotated, rest])
        self.of_heads = (np.arange(narrow.heads)[:, None] * wide.head_size + head).reshape(-1)

    def __call__(self, name: str, shape: tuple[int, ...], small: dict[str, np.ndarray]) -> np.ndarray:
        """Return the wide model's tensor of a name."""
        module, kind = name.rsplit(".", 1)
        part = module.rsplit(".", 1)[-1]
        if name not in small:  # a layer that the narrow model has not: `base` has seen to the others
            return np.full(shape, 1 if (part, kind) == ("input_layernorm", "weight") else 0, np.float32)
        given = small[name]
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
    narrow = base.read_shape(checkpoint)
    wide = replace(
        wide, end_of_text=base.read_config(checkpoint)["eos_token_id"], context=narrow.positions,
        rotary_factor=narrow.rotary)
    wide.check()
    config = wide.config(dtype)
    if (narrow.theta, narrow.epsilon) != (config["rope_theta"], config["layer_norm_eps"]):
        raise ValueError(f"rope_theta {narrow.theta} and layer_norm_eps {narrow.epsilon} are not those of a wide model")
    widening = Widening(narrow, wide)
    weights = to_hugging_face(narrow, base.load_weights(checkpoint, narrow))
    small = {name: tensor.numpy() for name, tensor in weights.items()}

    def fill(fresh: Path) -> None:
        copy_tokenizer(checkpoint, fresh)
        (fresh / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        with (fresh / "model.safetensors").open("wb") as file:
            file.write(header(wide, dtype))
            for name, dimensions, _ in wide.tensors():
                file.write(as_bytes(widening(name, dimensions, small), dtype))
    write_folder(folder, fill)


@command
def main() -> int:
    parser = argparse.ArgumentParser(
        prog="phitools.widened", description="Write a small phi in a larger shape, with the same function.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="phi-1", help="the larger shape")
    for name in ("hidden", "intermediate", "layers", "heads", "rows"):
        parser.add_argument(f"--{name}", type=number(int, 1), help="override the shape's value")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16")
    parser.add_argument("-o", dest="folder", type=Path, required=True)
    arguments = parser.parse_args()
    given = {f.name: getattr(arguments, f.name, None) for f in fields(Shape)}
    wide = replace(SHAPES[arguments.shape], **{name: value for name, value in given.items() if value is not None})
    try:
        check_free(arguments.folder, "widened")
        write(arguments.checkpoint, wide, arguments.folder, arguments.dtype)
    except (OSError, ValueError, KeyError) as error:
        say(f"phitools.widened: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
