"""The encodings of `.phi` tensors (Formats/phi-file.md, section 3): sizes, and bytes to float32.

Not run by itself; `phi_file.py` imports it.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BYTES, VECTOR, F32, F16, Q8, Q4 = 0, 1, 16, 17, 18, 19
BLOCK_BYTES = {F32: 4096, F16: 2048, Q8: 1088, Q4: 576}
NAMES = {BYTES: "bytes", VECTOR: "f32 vector", F32: "f32", F16: "f16", Q8: "q8", Q4: "q4"}
LEVELS = np.array([0, 14, 24, 33, 41, 47, 53, 59, 65, 71, 76, 82, 89, 96, 106, 118], dtype=np.float32) - 64
TILE_ROWS, BLOCK_COLUMNS, GROUP = 16, 64, 32


def tensor_bytes(encoding: int, rows: int, columns: int) -> int:
    """Length of a tensor's section (Python's integers cannot overflow)."""
    if encoding == VECTOR:
        return 4 * rows
    return -(-rows // TILE_ROWS) * -(-columns // BLOCK_COLUMNS) * BLOCK_BYTES[encoding]


@dataclass(frozen=True)
class Tiles:
    """Some whole tiles of a matrix, unpacked: padding included."""

    values: np.ndarray
    """float32 [16 x tiles, 64 x blocks]"""
    bits: np.ndarray
    """What stands in the file for each element, as unsigned integers: a float's bits, a byte or a nibble."""
    scales: np.ndarray | None
    """float16 [16 x tiles, 2 x blocks], one scale a row and 32 columns; None for f32 and f16"""


def unpack(data: np.ndarray, encoding: int, blocks: int) -> Tiles:
    """Unpacks whole tiles, given their bytes (uint8) and the number of blocks in a tile."""
    data = data.reshape(-1, blocks, BLOCK_BYTES[encoding])
    if encoding in (F32, F16):
        number, bits = ("<f4", "<u4") if encoding == F32 else ("<f2", "<u2")
        flat = np.ascontiguousarray(data)
        return Tiles(
            as_matrix(flat.view(number).reshape(-1, blocks, 64, 16).swapaxes(2, 3)).astype(np.float32),
            as_matrix(flat.view(bits).reshape(-1, blocks, 64, 16).swapaxes(2, 3)), None)
    scales = np.ascontiguousarray(data[..., :64]).view("<f2").reshape(-1, blocks, 2, 16).swapaxes(2, 3)
    codes = data[..., 64:]
    if encoding == Q8:
        bits = codes.reshape(-1, blocks, 16, 16, 4)  # k / 4, i, k mod 4
        bits = as_matrix(bits.transpose(0, 1, 3, 2, 4))
        levels = bits.astype(np.float32) - 128
    else:
        pairs = codes.reshape(-1, blocks, 8, 16, 4)  # k / 8, i, k mod 4
        bits = np.stack([pairs & 15, pairs >> 4], axis=3)  # k / 8, k / 4 mod 2, i, k mod 4 once moved
        bits = as_matrix(bits.transpose(0, 1, 4, 2, 3, 5))
        levels = LEVELS[bits]
    scales = as_matrix(scales)
    with np.errstate(invalid="ignore"):
        return Tiles(levels * np.repeat(scales.astype(np.float32), GROUP, axis=1), bits, scales)


def as_matrix(blocks: np.ndarray) -> np.ndarray:
    """[tiles, blocks, 16, ...] to [16 x tiles, all else]."""
    tiles = blocks.shape[0]
    return np.ascontiguousarray(np.moveaxis(blocks, 2, 1)).reshape(tiles * TILE_ROWS, -1)
