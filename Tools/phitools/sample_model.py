"""The tiny phi of the sample files: a config, a tokenizer of 262 tokens, seeded or zero weights, and test texts.

A library module for `make_samples.py`, `fault_making.py` and the tests.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from phitools import phi_encodings as enc
from phitools.phi_contents import Config, is_matrix
from phitools.phi_file_write import NewSection, config_bytes, matrix, tests_bytes, tokenizer_bytes, vector
from phitools.seeded import PIECE, fnv1a, piece

# Ids 0..255 are the bytes themselves.
TOKENS = [bytes([b]) for b in range(256)] + [b"<|endoftext|>", b"   ", b"  ", b"th", b"the", b" a"]
END_OF_TEXT, THREE_SPACES, TWO_SPACES, TH, THE, SPACE_A = range(256, 262)
MERGES = [(ord("t"), ord("h"), TH), (TH, ord("e"), THE), (ord(" "), ord("a"), SPACE_A)]
ADDED = {END_OF_TEXT: True, THREE_SPACES: False, TWO_SPACES: False}
TEXTS: list[tuple[str, list[int]]] = [
    ("", []),
    ("the", [THE]),
    ("then a", [THE, ord("n"), SPACE_A]),
    ("a     the<|endoftext|>", [ord("a"), THREE_SPACES, TWO_SPACES, THE, END_OF_TEXT]),
    ("é\n", [0xC3, 0xA9, ord("\n")]),
]


def tiny_config(**changes: Any) -> Config:
    """Return the configuration of one block of width 16, with changes."""
    config = Config(
        hidden=16, intermediate=16, layers=1, heads=2, kv_heads=2, head_size=8, rotary_dimensions=4, context=32,
        vocabulary=len(TOKENS), end_of_text=END_OF_TEXT, rotary_base=10000.0, layer_norm_epsilon=1e-5)
    return replace(config, **changes)


def model(
    config: Config, encoding: int | dict[str, int], *, zero: bool = False, tokenizer: bytes | None = None,
    texts: Sequence[tuple[str, list[int]]] = TEXTS,
) -> list[NewSection]:
    """Return all sections of a model in the specification's order; `tokenizer` is a section that encodes `texts`.

    Weights are either zero or seeded by their names: matrices in [-1, 1), biases in [-1/8, 1/8), norm weights near 1.
    `encoding` applies to all matrices, or maps their names to encodings, with "" as the default.
    """
    encodings = encoding if isinstance(encoding, dict) else {"": encoding}
    sections = [
        NewSection("config", config_bytes(**asdict(config))),
        NewSection("tokenizer", tokenizer or tokenizer_bytes(TOKENS, MERGES, ADDED)),
    ]
    for name, (rows, columns) in config.tensors().items():
        seed, count = 0 if zero else fnv1a(name.encode()), rows * columns
        values = np.concatenate([piece(seed, at, min(PIECE, count - at)) for at in range(0, count, PIECE)])
        values *= np.float32(0 if zero else 2.0**-23)
        if is_matrix(name):
            code = encodings.get(name, encodings.get("", enc.Q4))
            sections.append(matrix(name, values.reshape(rows, columns), code))
        else:
            sections.append(vector(name, values / 8 + (1 if name.endswith("norm.weight") else 0)))
    return [*sections, NewSection("tests", tests_bytes([(text.encode(), ids) for text, ids in texts]), flags=0)]
