"""Random phi checkpoints by a rule that any program can reproduce, without torch.

    python -m phitools.seeded --shape phi-1 -o DIR [--tokenizer DIR] [--dtype float32|float16|bfloat16] [--seed 1]
    python -m phitools.seeded --hidden 192 --intermediate 200 --layers 2 --heads 3 --rows 300 --tokens 290 -o DIR

Writes config.json, tokenizer.json and model.safetensors for `PhiForCausalLM.from_pretrained`. phi-1's shape takes
5.7 GB in float32, about half a minute and 100 MB of memory.

The rule. All integers are unsigned and wrap at 64 bits. For the tensor of a given name:

    seed = FNV-1a of the name's UTF-8 bytes (start 0xCBF29CE484222325, prime 0x100000001B3), xor the base seed
    element i (row-major, from 0):
        z = seed + (i + 1) * 0x9E3779B97F4A7C15                      the i-th state of splitmix64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9
        z = (z ^ z >> 27) * 0x94D049BB133111EB
        z = z ^ z >> 31
        v = (z >> 40) - 2^23                                         signed: -2^23 up to 2^23 - 1
        norm weight: 1 + v * 2^(norm exponent - 23), rounded once to the nearest float32, ties to even
        any other:   v * 2^(exponent of its kind - 23), which float32 holds exactly

Exponents by kind, unless a shape says otherwise: linear -5 (q, k, v, dense, fc1, fc2), head -5 (lm_head.weight),
embedding -4, bias -6 (every .bias, also those of norms), norm -3 (every norm's .weight). float16 and bfloat16 files
hold the float32 values rounded to nearest, ties to even.

Order in the file: model.embed_tokens.weight; for each block i from 0, model.layers.i. self_attn.q_proj, .k_proj,
.v_proj, .dense, mlp.fc1, mlp.fc2, input_layernorm, each .weight then .bias; model.final_layernorm.weight, .bias;
lm_head.weight, .bias.
"""
from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from math import prod
from pathlib import Path

import numpy as np

from phitools.byte_tokenizer import END_OF_TEXT_ID, generated_tokenizer
from phitools.durable import check_free, write_folder
from phitools.output import command, say
from phitools.program import number
from phitools.shapes import SHAPES, Exponents, Shape

GAMMA = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1
PIECE = 1 << 16  # elements generated at a time: half a megabyte, so that all passes hit the cache
DTYPES = {"float32": ("F32", 4), "float16": ("F16", 2), "bfloat16": ("BF16", 2)}
STEPS = np.arange(1, PIECE + 1, dtype=np.uint64) * np.uint64(GAMMA)


def fnv1a(data: bytes) -> int:
    """Return the 64-bit FNV-1a hash."""
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & MASK
    return h


def piece(seed: int, start: int, count: int) -> np.ndarray:
    """Return v of `count` elements (at most PIECE) from `start` of the tensor with this seed, as float32."""
    z = STEPS[:count] + np.uint64((seed + start * GAMMA) & MASK)
    other = z >> np.uint64(30)
    z ^= other
    z *= np.uint64(0xBF58476D1CE4E5B9)
    np.right_shift(z, np.uint64(27), out=other)
    z ^= other
    z *= np.uint64(0x94D049BB133111EB)
    np.right_shift(z, np.uint64(31), out=other)
    z ^= other
    z >>= np.uint64(40)
    return (z.astype(np.int32) - np.int32(1 << 23)).astype(np.float32)


def pieces(name: str, count: int, kind: str, exponents: Exponents, base_seed: int) -> Iterator[np.ndarray]:
    """Yield a tensor's values in order, as float32 arrays of at most PIECE elements."""
    seed = fnv1a(name.encode()) ^ base_seed
    scale = np.float32(2.0 ** (getattr(exponents, kind) - 23))
    for start in range(0, count, PIECE):
        values = piece(seed, start, min(PIECE, count - start))
        values *= scale
        if kind == "norm":
            values += np.float32(1)
        yield values


def tensor(shape: Shape, name: str, base_seed: int = 1) -> np.ndarray:
    """Return a whole tensor of a seeded checkpoint as float32."""
    for other, dimensions, kind in shape.tensors():
        if other == name:
            values = pieces(name, prod(dimensions), kind, shape.exponents, base_seed)
            return np.concatenate(list(values)).reshape(dimensions)
    raise KeyError(name)


def as_bytes(values: np.ndarray, dtype: str) -> bytes:
    """Encode float32 values in a dtype of DTYPES, rounded to nearest, ties to even."""
    if dtype == "float16":
        return values.astype("<f2").tobytes()
    if dtype == "bfloat16":
        bits = values.view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2").tobytes()
    return values.astype("<f4", copy=False).tobytes()


def header(shape: Shape, dtype: str) -> bytes:
    """Return the beginning of a safetensors file, after which the tensors follow in `shape.tensors()`'s order."""
    code, size = DTYPES[dtype]
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, dimensions, _ in shape.tensors():
        start, end = end, end + prod(dimensions) * size
        entries[name] = {"dtype": code, "shape": list(dimensions), "data_offsets": [start, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def write_safetensors(path: Path, shape: Shape, dtype: str, base_seed: int) -> None:
    """Write the checkpoint's tensors to one safetensors file, a piece at a time."""
    with path.open("wb") as file:
        file.write(header(shape, dtype))
        for name, dimensions, kind in shape.tensors():
            for values in pieces(name, prod(dimensions), kind, shape.exponents, base_seed):
                file.write(as_bytes(values, dtype))


def copy_tokenizer(source: Path, folder: Path) -> None:
    """Copy the files of a tokenizer that there are; ValueError if they are none."""
    if not (source / "tokenizer.json").exists() and not (source / "vocab.json").exists():
        raise ValueError(f"{source}: no tokenizer here; give a folder with tokenizer.json")
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "added_tokens.json"):
        if (source / name).exists():
            shutil.copyfile(source / name, folder / name)


def write_checkpoint(
    folder: Path, shape: Shape, *, dtype: str = "float32", base_seed: int = 1, tokenizer: Path | None = None
) -> None:
    """Write a complete checkpoint folder, with the tokenizer of a given folder or a generated one; one of the same name
    is replaced. ValueError for a shape that no phi has."""
    shape.check()
    made = generated_tokenizer(shape.tokens) if tokenizer is None else None

    def fill(fresh: Path) -> None:
        if tokenizer is None:
            text = json.dumps(made, ensure_ascii=False, separators=(",", ":"))
            (fresh / "tokenizer.json").write_text(text, encoding="utf-8")
        else:
            copy_tokenizer(tokenizer, fresh)
        (fresh / "config.json").write_text(json.dumps(shape.config(dtype), indent=2) + "\n", encoding="utf-8")
        write_safetensors(fresh / "model.safetensors", shape, dtype, base_seed)
    write_folder(folder, fill)


def chosen_shape(arguments: argparse.Namespace) -> Shape:
    """Return the named shape, overridden by the numbers on the command line."""
    shape = SHAPES[arguments.shape]
    if arguments.tokenizer is None:
        shape = replace(shape, end_of_text=END_OF_TEXT_ID)
    given = {f.name: getattr(arguments, f.name, None) for f in fields(Shape)}
    return replace(shape, **{name: value for name, value in given.items() if value is not None})


@command
def main() -> int:
    parser = argparse.ArgumentParser(prog="phitools.seeded", description="Write a seeded random phi checkpoint.")
    parser.add_argument("--shape", choices=SHAPES, default="phi-1", help="the base shape")
    for name in ("hidden", "intermediate", "layers", "heads", "kv-heads", "rows", "tokens", "context"):
        parser.add_argument(f"--{name}", type=number(int, 1), help="override the base shape's value")
    parser.add_argument("--end-of-text", type=number(int, 0), help="override the base shape's value")
    parser.add_argument("--rotary-factor", type=number(float, 0, 1))
    parser.add_argument("--tokenizer", type=Path, help="a folder with tokenizer.json (default: generate one)")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--seed", type=lambda text: int(text, 0) & MASK, default=1)
    parser.add_argument("-o", dest="folder", type=Path, required=True)
    arguments = parser.parse_args()
    began = time.monotonic()
    try:
        shape = chosen_shape(arguments)
        check_free(arguments.folder, "seeded")
        write_checkpoint(
            arguments.folder, shape, dtype=arguments.dtype, base_seed=arguments.seed, tokenizer=arguments.tokenizer)
    except (OSError, ValueError) as error:
        say(f"phitools.seeded: {error}")
        return 1
    size = (arguments.folder / "model.safetensors").stat().st_size
    say(f"{arguments.folder}: {size / 1e9:.2f} GB in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
