"""The encodings of `.phi` tensors (Formats/phi-file.md, section 3): their sizes and decoding to float32.

A library module for `phi_file.py`.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BYTES, VECTOR, F32, F16, Q8, Q4, Q3 = 0, 1, 16, 17, 20, 21, 22
NAMES = {BYTES: "bytes", VECTOR: "f32 vector", F32: "f32", F16: "f16", Q8: "q8", Q4: "q4", Q3: "q3"}
RETIRED = (18, 19)  # q8 and q4 of version 1.0
STRIP_BYTES = {F32: 4096, F16: 2048, Q8: 1024, Q4: 544, Q3: 416}
SCALE_BYTES = {F32: 0, F16: 0, Q8: 32, Q4: 32, Q3: 32}  # of a block, in front of its strips
TILE_ROWS, STRIP_COLUMNS, BLOCK_COLUMNS, GROUP_COLUMNS = 16, 64, 256, 16
BLOCK_STRIPS = BLOCK_COLUMNS // STRIP_COLUMNS
Q3_CODES = np.array([-8, -5, -3, -1, 0, 2, 4, 7], np.int8)


def tensor_bytes(encoding: int, rows: int, columns: int) -> int:
    """Return the length of a tensor's section (Python's integers cannot overflow)."""
    if encoding == VECTOR:
        return 4 * rows
    return -(-rows // TILE_ROWS) * tile_bytes(encoding, -(-columns // STRIP_COLUMNS))


def tile_bytes(encoding: int, strips: int) -> int:
    return strips * STRIP_BYTES[encoding] + -(-strips // BLOCK_STRIPS) * SCALE_BYTES[encoding]


def offsets(encoding: int, strips: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the byte offsets in a tile of each block's scales [blocks, bytes] and of each strip [strips, bytes]."""
    size, number = SCALE_BYTES[encoding], np.arange(strips)
    starts = number * STRIP_BYTES[encoding] + (number // BLOCK_STRIPS + 1) * size
    return starts[::BLOCK_STRIPS, None] - size + np.arange(size), starts[:, None] + np.arange(STRIP_BYTES[encoding])


@dataclass(frozen=True)
class Tiles:
    """Consecutive unpacked tiles of a matrix, padding included."""

    values: np.ndarray
    """float32 [16 x tiles, 64 x strips]"""
    bits: np.ndarray
    """The stored bits of each element as unsigned integers: a float's bits, a byte, a nibble or three bits."""
    scales: np.ndarray | None = None
    """float16 [16 x tiles, blocks], a scale per row and 256 columns; None for f32 and f16"""
    factors: np.ndarray | None = None
    """int8 [16 x tiles, 4 x strips], a factor per row and 16 columns; only for q4 and q3"""


def unpack(data: np.ndarray, encoding: int, strips: int) -> Tiles:
    """Unpack whole tiles from their bytes (uint8); a tile has `strips` strips."""
    data = data.reshape(-1, tile_bytes(encoding, strips))
    scale_bytes, body = (np.take(data, at, axis=1) for at in offsets(encoding, strips))
    if encoding in (F32, F16):
        number, bits = ("<f4", "<u4") if encoding == F32 else ("<f2", "<u2")
        return Tiles(
            as_matrix(body.view(number).reshape(-1, strips, 64, 16).swapaxes(2, 3)).astype(np.float32),
            as_matrix(body.view(bits).reshape(-1, strips, 64, 16).swapaxes(2, 3)))
    scales = as_matrix(scale_bytes.view("<f2")[..., None])
    factors = None
    if encoding == Q8:
        codes = body.reshape(-1, strips, 16, 16, 4)  # k / 4, i, k mod 4
        bits = as_matrix(codes.swapaxes(2, 3))
        integers = bits.astype(np.int16) - 128
    else:
        four = np.ascontiguousarray(body[..., :32]).view("<u2")[..., None] >> np.arange(0, 16, 4, np.uint16) & 15
        factors = as_matrix((four.astype(np.int8) ^ 8) - 8)
        bits = as_matrix((nibbles if encoding == Q4 else triples)(body[..., 32:]))
        codes = bits.astype(np.int8) - 8 if encoding == Q4 else Q3_CODES[bits]
        integers = np.repeat(factors, GROUP_COLUMNS, axis=1) * codes
    by_column = np.repeat(scales.astype(np.float32), BLOCK_COLUMNS, axis=1)[:, : STRIP_COLUMNS * strips]
    with np.errstate(invalid="ignore"):
        return Tiles(integers * by_column, bits, scales, factors)


def nibbles(body: np.ndarray) -> np.ndarray:
    """Unpack q4's numbers to [tiles, strips, i, k / 8, k / 4 mod 2, k mod 4]."""
    pairs = body.reshape(*body.shape[:2], 8, 16, 4)  # k / 8, i, k mod 4
    return np.stack([pairs & 15, pairs >> 4], axis=3).transpose(0, 1, 4, 2, 3, 5)


def triples(body: np.ndarray) -> np.ndarray:
    """Unpack q3's numbers to [tiles, strips, i, k / 32, k / 16 mod 2, k / 4 mod 4, k mod 4]."""
    parts = body.reshape(*body.shape[:2], 2, 3, 16, 4)  # k / 32; k / 16 mod 2, or 2 for third bits; i, k mod 4
    four = np.arange(4, dtype=np.uint8)[:, None, None]
    lower = parts[:, :, :, :2, None] >> 2 * four & 3  # k / 32, k / 16 mod 2, k / 4 mod 4, i, k mod 4
    third = parts[:, :, :, 2:, None] >> four + 4 * np.arange(2, dtype=np.uint8)[:, None, None, None] & 1
    return (lower | third << 2).transpose(0, 1, 5, 2, 3, 4, 6)


def as_matrix(parts: np.ndarray) -> np.ndarray:
    """Reshape [tiles, strips or blocks, 16, ...] to [16 x tiles, -1]."""
    tiles = parts.shape[0]
    return np.ascontiguousarray(np.moveaxis(parts, 2, 1)).reshape(tiles * TILE_ROWS, -1)
