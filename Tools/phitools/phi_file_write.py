"""A small writer of `.phi` files for tests and samples: round-to-nearest quantisation, everything in memory.

Not run by itself and not a converter (`phi convert` is); `make_samples.py` and the tests import it. It knows sections
as the specification lays them out, and puts them together without checking them, so that faults can be written too.
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
    """A section to be written; `alignment` None is what the specification asks of writers."""

    name: str
    data: bytes
    encoding: int = enc.BYTES
    rows: int = 0
    columns: int = 0
    flags: int = 1
    alignment: int | None = None


def config_bytes(**fields: float) -> bytes:
    """The `config` section from the fields of `phi_contents.Config`, in its order."""
    return struct.pack("<10I2f16x", *fields.values())


def tokenizer_bytes(
    tokens: Sequence[bytes], merges: Sequence[tuple[int, int, int]], added: Mapping[int, bool]
) -> bytes:
    text = b"".join(tokens)
    starts = np.cumsum([0, *map(len, tokens)]).astype("<u4")
    return (struct.pack("<5I12x", 1, len(tokens), len(merges), len(added), len(text)) + starts.tobytes()
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
    """A float32 matrix in the tiles of an encoding."""
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
        # n - 8 reaches 8 below zero only, so the factor of a group has the sign that its extreme has not. It is 0 only
        # where all is zero: a group of small elements would be lost.
        most = extremes(units, enc.GROUP_COLUMNS)
        factors = np.clip(np.rint(most / -8), -8, 7)
        factors = np.where(factors == 0, -np.sign(most), factors).astype(np.int8)
        units = quotient(units, np.repeat(factors, enc.GROUP_COLUMNS, axis=1))
        codes = np.where(real, np.clip(np.rint(units), -8, 7) + 8, 0).astype(np.uint8)
        parts = as_parts(codes, 64).reshape(-1, strips, 16, 8, 2, 4)  # i, k / 8, k / 4 mod 2, k mod 4
        pairs = (parts[..., 0, :] | parts[..., 1, :] << 4).swapaxes(2, 3)
        four = as_parts(factors.view(np.uint8) & 15, 4)
        body = np.concatenate([as_bytes(four[..., ::2] | four[..., 1::2] << 4), as_bytes(pairs)], axis=2)
    tiles = np.zeros((len(body), enc.tile_bytes(encoding, strips)), np.uint8)
    head_places, strip_places = enc.places(encoding, strips)
    tiles[:, head_places] = as_bytes(as_parts(scales, 1))
    tiles[:, strip_places] = as_bytes(body)
    return tiles.tobytes()


def extremes(values: np.ndarray, width: int) -> np.ndarray:
    """The element of the largest magnitude, with its sign, in each row and `width` columns."""
    runs = values.reshape(len(values), -1, width)
    return np.take_along_axis(runs, np.abs(runs).argmax(2, keepdims=True), 2)[..., 0]


def quotient(values: np.ndarray, divisors: np.ndarray) -> np.ndarray:
    """values / divisors; 0 where a divisor is 0."""
    return np.divide(values, divisors, out=np.zeros_like(values), where=divisors != 0)


def as_parts(values: np.ndarray, width: int) -> np.ndarray:
    """[16 x tiles, width x parts] to [tiles, parts, 16, width]."""
    return values.reshape(len(values) // 16, 16, -1, width).swapaxes(1, 2)


def as_bytes(parts: np.ndarray) -> np.ndarray:
    """[tiles, parts, ...] to [tiles, parts, bytes of a part]."""
    return np.ascontiguousarray(parts).reshape(*parts.shape[:2], -1).view(np.uint8)


def file_bytes(sections: Sequence[NewSection], minor: int = 1) -> bytearray:
    """A whole file."""
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
    """Puts the header hash right after a change to the header, over as many bytes as the header says it has."""
    size = int.from_bytes(data[24:32], "little")
    data[96:128] = bytes(32)
    data[96:128] = hashlib.sha256(data[: min(size, len(data))]).digest()
