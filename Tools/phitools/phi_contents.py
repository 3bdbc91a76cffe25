"""Readers of the sections config, tokenizer, generation and tests of a `.phi` file (Formats/phi-file.md, section 2).

A library module for `phi_file.py`. Each `read_` function parses a section's bytes and raises `PhiFileError` if they
violate the specification.
"""
from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

from phitools.phi_error import PhiFileError


def require(holds: bool, fault: str) -> None:
    if not holds:
        raise PhiFileError(fault)


@dataclass(frozen=True)
class Config:
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    rotary_dimensions: int
    context: int
    vocabulary: int
    end_of_text: int
    rotary_base: float
    layer_norm_epsilon: float

    def tensors(self) -> dict[str, tuple[int, int]]:
        """Return rows and columns of every required tensor; vectors have one column."""
        query, key = self.heads * self.head_size, self.kv_heads * self.head_size
        shapes = {"embedding.weight": (self.vocabulary, self.hidden)}
        for n in range(self.layers):
            rows, columns = query + 2 * key + self.intermediate, query + self.intermediate
            shapes[f"block.{n}.norm.weight"] = shapes[f"block.{n}.norm.bias"] = (self.hidden, 1)
            shapes[f"block.{n}.in.weight"], shapes[f"block.{n}.in.bias"] = (rows, self.hidden), (rows, 1)
            shapes[f"block.{n}.out.weight"], shapes[f"block.{n}.out.bias"] = (self.hidden, columns), (self.hidden, 1)
        shapes["norm.weight"] = shapes["norm.bias"] = (self.hidden, 1)
        shapes["head.weight"], shapes["head.bias"] = (self.vocabulary, self.hidden), (self.vocabulary, 1)
        return shapes


def is_matrix(name: str) -> bool:
    """Return whether a tensor is a matrix: all are except biases and norm weights."""
    return name.endswith(".weight") and not name.endswith("norm.weight")


def read_config(data: bytes) -> Config:
    require(len(data) == 64, f"config: {len(data)} bytes, not 64")
    require(data[48:] == bytes(16), "config: reserved bytes are not zero")
    c = Config(*struct.unpack_from("<10I2f", data))
    for name, value, low, high in (
        ("hidden size", c.hidden, 1, 65_536), ("intermediate size", c.intermediate, 1, 262_144),
        ("layers", c.layers, 1, 1024), ("heads", c.heads, 1, 1024), ("kv heads", c.kv_heads, 1, c.heads),
        ("head size", c.head_size, 1, 1024), ("heads x head size", c.heads * c.head_size, 1, 65_536),
        ("rotary dimensions", c.rotary_dimensions, 0, c.head_size), ("context", c.context, 1, 1_048_576),
        ("vocabulary", c.vocabulary, 1, 1_048_576), ("end-of-text id", c.end_of_text, 0, c.vocabulary - 1),
    ):
        require(low <= value <= high, f"config: {name} is {value}, not {low} to {high}")
    require(c.heads % c.kv_heads == 0, f"config: kv heads {c.kv_heads} do not divide {c.heads} heads")
    require(c.rotary_dimensions % 2 == 0, f"config: rotary dimensions are odd: {c.rotary_dimensions}")
    for name, number, low in (("rotary base", c.rotary_base, 1), ("layer norm epsilon", c.layer_norm_epsilon, 0)):
        require(math.isfinite(number) and number >= low and number > 0, f"config: {name} is {number}")
    return c


@dataclass(frozen=True)
class Tokenizer:
    tokens: list[bytes]
    merges: list[tuple[int, int, int]]
    """Left, right and result ids, in rank order."""
    added: dict[int, bool]
    """The ids of added tokens, each with whether it is special."""
    second_pass: frozenset[int] = frozenset()
    """The added tokens that are matched in what the others leave."""
    unknown: int | None = None
    """The token of bytes that have none of their own; without it they are left out."""


def read_tokenizer(data: bytes) -> Tokenizer:
    require(len(data) >= 32, f"tokenizer: {len(data)} bytes, fewer than 32")
    kind, t, m, a, b, unknown = struct.unpack_from("<6I", data)
    require(kind == 1, f"tokenizer: kind {kind}")
    require(data[24:32] == bytes(8), "tokenizer: reserved bytes are not zero")
    length = 32 + 4 * (t + 1) + 12 * m + 8 * a + b
    require(len(data) == length, f"tokenizer: {len(data)} bytes, not the {length} that its counts give")
    numbers = np.frombuffer(data, "<u4", t + 1 + 3 * m + 2 * a, 32).astype(np.int64)
    starts, merges, added = np.split(numbers, [t + 1, t + 1 + 3 * m])
    merges, added = merges.reshape(m, 3), added.reshape(a, 2)
    require(starts[0] == 0 and starts[-1] == b, "tokenizer: token starts do not run from 0 to the text's end")
    require(bool((np.diff(starts) >= 0).all()), "tokenizer: token starts decrease")
    require(bool((merges < t).all()), "tokenizer: a merge has a token id outside the vocabulary")
    require(bool((added[:, 0] < t).all()), "tokenizer: an added token has an id outside the vocabulary")
    require(bool((added[:, 1] <= 3).all()), "tokenizer: an added token has unknown flags")
    require(unknown <= t, "tokenizer: the unknown token has an id outside the vocabulary")
    text = data[length - b :]
    edges = starts.tolist()
    tokens = [text[start:end] for start, end in zip(edges, edges[1:])]
    found = Tokenizer(tokens, [tuple(merge) for merge in merges.tolist()],
                      {i: bool(flags & 1) for i, flags in added.tolist()},
                      frozenset(i for i, flags in added.tolist() if flags & 2), unknown - 1 if unknown else None)
    require(len(found.added) == a, "tokenizer: an id is added twice")
    added_bytes = [tokens[i] for i in found.added]
    require(all(added_bytes), "tokenizer: an added token is empty")
    require(all(len(token) <= 1024 for token in added_bytes), "tokenizer: an added token is longer than 1024 bytes")
    require(sum(map(len, added_bytes)) <= 2**20, "tokenizer: the added tokens are longer than 2^20 bytes")
    require(len(set(added_bytes)) == a, "tokenizer: two added tokens have the same bytes")
    single = {token for token in tokens if len(token) == 1}
    require(not unknown or len(single) < 256, "tokenizer: an unknown token, but every byte has a token")
    for left, right, result in found.merges:
        require(tokens[result] == tokens[left] + tokens[right],
                f"tokenizer: merge of {left} and {right} does not result in the bytes of {result}")
    pairs = {(left, right) for left, right, _ in found.merges}
    require(len(pairs) == m, "tokenizer: duplicate pair among the merges")
    return found


@dataclass(frozen=True)
class Generation:
    start: int
    """The id that an empty prompt stands for."""
    ends: list[int]
    """The ids each of which ends a text."""


def read_generation(data: bytes, config: Config) -> Generation:
    require(len(data) >= 8, f"generation: {len(data)} bytes, fewer than 8")
    start, count = struct.unpack_from("<2I", data)
    require(1 <= count <= 256, f"generation: {count} ends of text, not 1 to 256")
    require(len(data) == 8 + 4 * count, f"generation: {len(data)} bytes, not the {8 + 4 * count} that its count gives")
    ends = np.frombuffer(data, "<u4", count, 8).tolist()
    require(all(i < config.vocabulary for i in [start, *ends]), "generation: a token id outside the vocabulary")
    require(len(set(ends)) == count, "generation: an end of text stands twice")
    require(ends[0] == config.end_of_text,
            f"generation: the first end is {ends[0]}, by the config {config.end_of_text}")
    return Generation(start, ends)


@dataclass(frozen=True)
class Tests:
    texts: list[tuple[str, list[int]]]
    prompt: list[int]
    deviation: float
    logits: dict[int, float]


def read_tests(data: bytes, config: Config) -> Tests:
    at = 0

    def take(count: int) -> bytes:
        nonlocal at
        require(count <= len(data) - at, "tests: the section ends early")
        at += count
        return data[at - count : at]

    def number() -> int:
        return int.from_bytes(take(4), "little")

    def ids(count: int) -> list[int]:
        found = np.frombuffer(take(4 * count), "<u4").tolist()
        require(all(i < config.vocabulary for i in found), "tests: a token id outside the vocabulary")
        return found

    texts: list[tuple[str, list[int]]] = []
    count = number()
    require(count <= 1024, f"tests: {count} texts, more than 1024")
    for _ in range(count):
        byte_count, id_count = number(), number()
        raw = take(byte_count)
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise PhiFileError("tests: a text is not UTF-8") from None
        texts.append((text, ids(id_count)))
    prompt_count = number()
    require(
        prompt_count <= min(config.context, 1024),
        f"tests: a prompt of {prompt_count} ids is longer than the context or 1024")
    prompt = ids(prompt_count)
    deviation = struct.unpack("<f", take(4))[0]
    pairs = np.frombuffer(take(8 * number()), [("id", "<u4"), ("logit", "<f4")])
    require(bool((pairs["id"] < config.vocabulary).all()), "tests: a logit has a token id outside the vocabulary")
    require(at == len(data), "tests: bytes left over at the end")
    return Tests(texts, prompt, deviation, dict(zip(pairs["id"].tolist(), pairs["logit"].tolist())))
