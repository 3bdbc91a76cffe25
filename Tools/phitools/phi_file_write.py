"""A small in-memory writer of `.phi` files for tests and samples, with round-to-nearest quantisation.

A library module for `make_samples.py` and the tests; models are converted by `phi convert`. Sections are written
without checks, so that faulty files can be made too.
"""
from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from phitools import phi_encodings as enc
from phitools.phi_file import MAGIC, PREAMBLE, RECORD, round_up


@dataclass
class NewSection:
    """A section to be written; `alignment` None means the one that the specification requires of writers."""

    name: str
    data: bytes
    encoding: int = enc.BYTES
    rows: int = 0
    columns: int = 0
    flags: int = 1
    alignment: int | None = None


def config_bytes(**fields: float) -> bytes:
    """Return a `config` section, given the fields of `phi_contents.Config` in order."""
    return struct.pack("<10I2f16x", *fields.values())


def tokenizer_bytes(
    tokens: Sequence[bytes], merges: Sequence[tuple[int, int, int]], added: Mapping[int, int],
    unknown: int | None = None,
) -> bytes:
    """Return a `tokenizer` section; `added` has the flags of each added token."""
    text = b"".join(tokens)
    starts = np.cumsum([0, *map(len, tokens)]).astype("<u4")
    after = 0 if unknown is None else unknown + 1
    return (struct.pack("<6I8x", 1, len(tokens), len(merges), len(added), len(text), after) + starts.tobytes()
            + np.array(merges, "<u4").tobytes() + np.array(list(added.items()), "<u4").tobytes() + text)


def tests_bytes(
    texts: Sequence[tuple[bytes, Sequence[int]]], prompt: Sequence[int] = (), deviation: float = 0,
    logits: Mapping[int, float] | None = None,
) -> bytes:
    def numbers(*values: int) -> bytes:
        return struct.pack(f"<{len(values)}I", *values)

    parts = [numbers(len(texts))]
    for text, ids in texts:
        parts += [numbers(len(text), len(ids)), text, numbers(*ids)]
    parts += [numbers(len(prompt), *prompt), struct.pack("<f", deviation), numbers(len(logits or {}))]
    return b"".join(parts) + b"".join(struct.pack("<If", *pair) for pair in (logits or {}).items())


def vector(name: str, values: np.ndarray) -> NewSection:
    return NewSection(name, values.astype("<f4").tobytes(), enc.VECTOR, len(values), 1)


def matrix(name: str, values: np.ndarray, encoding: int) -> NewSection:
    return NewSection(name, matrix_bytes(values, encoding), encoding, *values.shape)


def matrix_bytes(values: np.ndarray, encoding: int) -> bytes:
    """Encode a float32 matrix as tiles."""
    rows, columns = values.shape
    padded = np.zeros((round_up(rows, 16), round_up(columns, 64)), np.float32)
    padded[:rows, :columns] = values
    strips = padded.shape[1] // 64
    if encoding in (enc.F32, enc.F16):
        return as_parts(padded, 64).swapaxes(2, 3).astype("<f4" if encoding == enc.F32 else "<f2").tobytes()
    real = np.zeros(padded.shape, bool)
    real[:rows, :columns] = True
    blocks = np.pad(padded, ((0, 0), (0, -padded.shape[1] % enc.BLOCK_COLUMNS)))
    most = extremes(blocks, enc.BLOCK_COLUMNS)
    scales = (np.abs(most) / 127 if encoding == enc.Q8 else most / 64).astype("<f2") + 0  # + 0: no negative zeros
    units = quotient(padded, np.repeat(scales.astype(np.float32), enc.BLOCK_COLUMNS, axis=1)[:, : 64 * strips])
    if encoding == enc.Q8:
        codes = np.where(real, np.clip(np.rint(units), -127, 127) + 128, 0).astype(np.uint8)
        body = as_parts(codes, 64).reshape(-1, strips, 16, 16, 4).swapaxes(2, 3)  # i, k / 4, k mod 4
    else:
        # code - 8 reaches 8 only below zero, so the factor's sign is opposite to that of the group's extreme. Only an
        # all-zero group gets factor 0; otherwise groups of small elements would be lost.
        most = extremes(units, enc.GROUP_COLUMNS)
        factors = np.clip(np.rint(most / -8), -8, 7)
        factors = np.where(factors == 0, -np.sign(most), factors).astype(np.int8)
        units = quotient(units, np.repeat(factors, enc.GROUP_COLUMNS, axis=1))
        if encoding == enc.Q4:
            numbers = np.clip(np.rint(units), -8, 7) + 8
        else:
            numbers = np.searchsorted((enc.Q3_CODES[1:] + enc.Q3_CODES[:-1]) / 2, units, side="right")
        parts = as_parts(np.where(real, numbers, 0).astype(np.uint8), 64)
        four = as_parts(factors.view(np.uint8) & 15, 4)
        packed = nibbles(parts) if encoding == enc.Q4 else triples(parts)
        body = np.concatenate([as_bytes(four[..., ::2] | four[..., 1::2] << 4), as_bytes(packed)], axis=2)
    tiles = np.zeros((len(body), enc.tile_bytes(encoding, strips)), np.uint8)
    scale_offsets, strip_offsets = enc.offsets(encoding, strips)
    tiles[:, scale_offsets] = as_bytes(as_parts(scales, 1))
    tiles[:, strip_offsets] = as_bytes(body)
    return tiles.tobytes()


def nibbles(parts: np.ndarray) -> np.ndarray:
    """Pack q4's numbers, [tiles, strips, i, k], to [tiles, strips, k / 8, i, k mod 4]."""
    parts = parts.reshape(*parts.shape[:3], 8, 2, 4)  # k / 8, k / 4 mod 2, k mod 4
    return (parts[..., 0, :] | parts[..., 1, :] << 4).swapaxes(2, 3)


def triples(parts: np.ndarray) -> np.ndarray:
    """Pack q3's numbers, [tiles, strips, i, k], to [tiles, strips, k / 32, 3, i, k mod 4]."""
    parts = parts.reshape(*parts.shape[:3], 2, 2, 4, 4)  # k / 32, k / 16 mod 2, k / 4 mod 4, k mod 4
    four = np.arange(4, dtype=np.uint8)[:, None]
    lower = np.bitwise_or.reduce((parts & 3) << 2 * four, axis=5)
    third = np.bitwise_or.reduce(parts >> 2 << four, axis=5)
    third = third[..., :1, :] | third[..., 1:, :] << 4
    return np.concatenate([lower, third], axis=4).transpose(0, 1, 3, 4, 2, 5)


def extremes(values: np.ndarray, width: int) -> np.ndarray:
    """Return the element of largest magnitude, with its sign, of each row and group of `width` columns."""
    runs = values.reshape(len(values), -1, width)
    return np.take_along_axis(runs, np.abs(runs).argmax(2, keepdims=True), 2)[..., 0]


def quotient(values: np.ndarray, divisors: np.ndarray) -> np.ndarray:
    """Return values / divisors, or 0 where the divisor is 0."""
    return np.divide(values, divisors, out=np.zeros_like(values), where=divisors != 0)


def as_parts(values: np.ndarray, width: int) -> np.ndarray:
    """Reshape [16 x tiles, width x parts] to [tiles, parts, 16, width]."""
    return values.reshape(len(values) // 16, 16, -1, width).swapaxes(1, 2)


def as_bytes(parts: np.ndarray) -> np.ndarray:
    """Reinterpret [tiles, parts, ...] as [tiles, parts, bytes of a part]."""
    return np.ascontiguousarray(parts).reshape(*parts.shape[:2], -1).view(np.uint8)


def file_bytes(sections: Sequence[NewSection], minor: int = 1) -> bytearray:
    """Assemble a complete file."""
    header = bytearray(128 + 128 * len(sections))
    body = bytearray(header)
    for i, s in enumerate(sections):
        alignment = s.alignment or (65_536 if len(s.data) >= 1 << 20 else 64)
        offset = round_up(len(body), alignment)
        body += bytes(offset - len(body)) + s.data
        RECORD.pack_into(
            body, 128 + 128 * i, s.name.encode("latin-1"), s.flags, s.encoding, offset, len(s.data), alignment, s.rows,
            s.columns, bytes(12), hashlib.sha256(s.data).digest())
    PREAMBLE.pack_into(
        body, 0, MAGIC, 1, minor, 0x01020304, len(body), len(header), len(sections), bytes(60), bytes(32))
    rehash(body)
    return body


def rehash(data: bytearray) -> None:
    """Recompute the header hash after a change, over the header size that the header declares."""
    size = int.from_bytes(data[24:32], "little")
    data[96:128] = bytes(32)
    data[96:128] = hashlib.sha256(data[: min(size, len(data))]).digest()
