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
    real = np.zeros(padded.shape, bool)
    real[:rows, :columns] = True
    if encoding in (enc.F32, enc.F16):
        return as_blocks(padded, 64).swapaxes(2, 3).astype("<f4" if encoding == enc.F32 else "<f2").tobytes()
    groups = padded.reshape(len(padded), -1, enc.GROUP)
    extreme = np.take_along_axis(groups, np.abs(groups).argmax(2, keepdims=True), 2)
    scales = (extreme / (127 if encoding == enc.Q8 else -64) + 0).astype("<f2")  # + 0: no negative zeros
    with np.errstate(divide="ignore", invalid="ignore"):
        units = np.nan_to_num(groups / scales.astype(np.float32), posinf=0, neginf=0).reshape(padded.shape)
    if encoding == enc.Q8:
        codes = np.where(real, np.clip(np.rint(units), -127, 127) + 128, 0).astype(np.uint8)
        blocks = as_blocks(codes, 64).reshape(-1, padded.shape[1] // 64, 16, 16, 4)  # i, k / 4, k mod 4
        body = blocks.swapaxes(2, 3)
    else:
        codes = np.where(real, np.abs(units[..., None] - enc.LEVELS).argmin(-1), 0).astype(np.uint8)
        blocks = as_blocks(codes, 64).reshape(-1, padded.shape[1] // 64, 16, 8, 2, 4)  # i, k / 8, k / 4 mod 2, k mod 4
        body = (blocks[..., 0, :] | blocks[..., 1, :] << 4).swapaxes(2, 3)
    head = as_blocks(scales[..., 0], 2).swapaxes(2, 3)
    count = len(head) * head.shape[1]
    parts = [np.ascontiguousarray(part).view(np.uint8).reshape(count, -1) for part in (head, body)]
    return np.concatenate(parts, axis=1).tobytes()


def as_blocks(values: np.ndarray, width: int) -> np.ndarray:
    """[16 x tiles, width x blocks] to [tiles, blocks, 16, width]."""
    return values.reshape(len(values) // 16, 16, -1, width).swapaxes(1, 2)


def file_bytes(sections: Sequence[NewSection], minor: int = 0) -> bytearray:
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
