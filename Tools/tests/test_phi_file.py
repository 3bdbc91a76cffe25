"""Tests of the `.phi` reader against the test writer and against plain loops over the formulas of Formats/phi-file.md.

    python -m pytest Tools/tests        or        PYTHONPATH=Tools python -m unittest discover Tools/tests
"""
from __future__ import annotations

import struct
import tempfile
import unittest
from pathlib import Path

import numpy as np

from phitools import phi_encodings as enc
from phitools import phi_file_write as write
from phitools.fault_making import record
from phitools.phi_error import PhiFileError
from phitools.phi_file import PhiFile
from phitools.sample_model import model, tiny_config

SIZES = {enc.F32: (4096, 0), enc.F16: (2048, 0), enc.Q8: (1024, 32), enc.Q4: (544, 32), enc.Q3: (416, 32)}
"""Bytes per strip and of a block's scales, stated independently of `phi_encodings`."""


def element(data: bytes, encoding: int, columns: int, r: int, c: int) -> float:
    """Decode one element by the formulas of section 3."""
    strips = -(-columns // 64)
    blocks = -(-strips // 4)
    size, head = SIZES[encoding]
    tile = r // 16 * (strips * size + blocks * head)
    s, i, k = c // 64, r % 16, c % 64
    strip = data[tile + s * size + (s // 4 + 1) * head :][:size]
    if encoding == enc.F32:
        return struct.unpack_from("<f", strip, (16 * k + i) * 4)[0]
    if encoding == enc.F16:
        return struct.unpack_from("<e", strip, (16 * k + i) * 2)[0]
    scale = struct.unpack_from("<e", data, tile + s // 4 * (4 * size + head) + 2 * i)[0]
    if encoding == enc.Q8:
        return scale * (strip[64 * (k // 4) + 4 * i + k % 4] - 128)
    factor = struct.unpack_from("<H", strip, 2 * i)[0] >> 4 * (k // 16) & 15
    factor -= 16 if factor > 7 else 0
    if encoding == enc.Q3:
        low = strip[32 + 192 * (k // 32) + 64 * (k // 16 % 2) + 4 * i + k % 4] >> 2 * (k // 4 % 4) & 3
        third = strip[32 + 192 * (k // 32) + 128 + 4 * i + k % 4] >> k // 4 % 8 & 1
        return scale * (factor * (-8, -5, -3, -1, 0, 2, 4, 7)[low + 4 * third])
    byte = strip[32 + 64 * (k // 8) + 4 * i + k % 4]
    return scale * (factor * ((byte & 15 if k // 4 % 2 == 0 else byte >> 4) - 8))


class Encodings(unittest.TestCase):
    def test_any_bits_decode_as_the_formulas_say(self) -> None:
        random = np.random.default_rng(1)
        for encoding, (size, head) in SIZES.items():
            for tiles, strips in ((1, 1), (3, 2), (2, 4), (2, 5), (1, 11)):
                raw = random.integers(0, 256, (tiles, strips * size + -(-strips // 4) * head), np.uint8)
                for block in range(0, strips, 4):  # finite scales
                    at = block * size + block // 4 * head
                    raw[:, at + 1 : at + head : 2] &= 0xBB
                got = enc.unpack(raw.reshape(-1), encoding, strips).values
                data = raw.tobytes()
                want = np.array([[element(data, encoding, 64 * strips, r, c) for c in range(64 * strips)]
                                 for r in range(16 * tiles)], np.float32)
                np.testing.assert_array_equal(got, want, str(encoding))
                np.testing.assert_array_equal(np.signbit(got), np.signbit(want), str(encoding))

    def test_writer_and_reader_agree(self) -> None:
        random = np.random.default_rng(2)
        for rows, columns in ((1, 1), (16, 64), (17, 33), (40, 130), (16, 256), (20, 328), (33, 577)):
            values = random.standard_normal((rows, columns)).astype(np.float32)
            for encoding, most in ((enc.F32, 0.0), (enc.F16, 1e-3), (enc.Q8, 0.02), (enc.Q4, 0.6), (enc.Q3, 0.9)):
                data = np.frombuffer(write.matrix_bytes(values, encoding), np.uint8)
                self.assertEqual(len(data), enc.tensor_bytes(encoding, rows, columns))
                tiles = enc.unpack(data, encoding, -(-columns // 64))
                error = np.abs(tiles.values[:rows, :columns] - values).max()
                self.assertLessEqual(error, most, f"{encoding} {rows}x{columns}")
                self.assertFalse(tiles.bits[rows:].any() or tiles.bits[:, columns:].any())
                if tiles.scales is not None:
                    self.assertEqual(tiles.scales.shape, (-(-rows // 16) * 16, -(-columns // 256)))
                    self.assertFalse(tiles.scales.view(np.uint16)[rows:].any())
                if tiles.factors is not None:
                    self.assertFalse(tiles.factors[rows:].any() or tiles.factors[:, -(-columns // 16) :].any())

    def test_how_the_writer_chooses(self) -> None:
        values = np.zeros((4, 512), np.float32)
        values[0, [3, 20, 40]] = -64, 8, 0.5  # of one block; the second block and all else of the row are zero
        values[1, 300] = 64
        values[2, :16], values[2, 16] = np.arange(-8, 8), 64
        values[3] = -1e-9  # smaller than any scale
        tiles = enc.unpack(np.frombuffer(write.matrix_bytes(values, enc.Q4), np.uint8), enc.Q4, 8)
        self.assertEqual(tiles.scales[:4].tolist(), [[-1, 0], [0, 1], [1, 0], [0, 0]])
        self.assertFalse(np.signbit(tiles.scales[1:]).any())
        self.assertEqual(tiles.factors[0, :5].tolist(), [-8, 1, 1, 0, 0])
        self.assertEqual(tiles.values[0, [3, 20, 40]].tolist(), [-64, 8, 0])
        self.assertEqual(tiles.values[1, 300], 64)
        self.assertEqual((tiles.factors[2, 0], tiles.factors[2, 1]), (1, -8))
        np.testing.assert_array_equal(tiles.values[2, :17], values[2, :17])
        self.assertFalse(tiles.values[3].any() or tiles.factors[3].any())
        tiles = enc.unpack(np.frombuffer(write.matrix_bytes(-2 * values, enc.Q8), np.uint8), enc.Q8, 8)
        scale = np.float16(128 / 127)
        self.assertEqual(tiles.scales[:4].tolist(), [[scale, 0], [0, scale], [scale, 0], [0, 0]])
        self.assertEqual(tiles.bits[:2, [3, 300]].tolist(), [[255, 128], [128, 1]])


class WholeFile(unittest.TestCase):
    def open(self, data: bytes) -> PhiFile:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "model.phi"
        path.write_bytes(data)
        return PhiFile(path)

    def test_what_is_written_is_read(self) -> None:
        for encoding in SIZES:
            sections = model(tiny_config(layers=2, heads=4, kv_heads=2, intermediate=250), encoding)
            phi = self.open(write.file_bytes(sections))
            phi.verify()
            self.assertEqual((phi.config.layers, phi.config.kv_heads), (2, 2))
            self.assertEqual(phi.tokenizer.tokens[phi.tokenizer.merges[0][2]], b"th")
            self.assertEqual(len(list(phi.tensor_hashes())), 1 + 2 * 6 + 4)
            weight = next(s for s in sections if s.name == "block.1.out.weight")
            self.assertEqual(weight.columns, 282)  # a block and a short one
            got = phi.tensor(weight.name)
            self.assertEqual(got.shape, (weight.rows, weight.columns))
            want = [[element(weight.data, encoding, weight.columns, r, c) for c in range(weight.columns)]
                    for r in range(weight.rows)]
            np.testing.assert_array_equal(got, np.array(want, np.float32))

    def test_large_tensors_are_read_in_pieces(self) -> None:
        from phitools import phi_file
        whole = self.open(write.file_bytes(model(tiny_config(), enc.Q4)))
        self.addCleanup(setattr, phi_file, "PIECE_BYTES", phi_file.PIECE_BYTES)
        hashes = list(whole.tensor_hashes())
        phi_file.PIECE_BYTES = 1000
        self.assertEqual(list(whole.tensor_hashes()), hashes)
        whole.verify()

    def test_retired_encodings_are_refused_by_number(self) -> None:
        for encoding in (18, 19):
            with self.assertRaisesRegex(PhiFileError, f"is no longer read, {encoding}: convert the checkpoint again"):
                self.open(record("embedding.weight", "encoding", encoding))

    def test_every_changed_byte_is_noticed(self) -> None:
        data = write.file_bytes(model(tiny_config(), enc.Q4))
        for at in range(0, len(data), 61):
            data[at] ^= 0x10
            with self.assertRaises(PhiFileError, msg=f"byte {at}"):
                self.open(bytes(data)).verify()
            data[at] ^= 0x10

    def test_every_truncation_is_refused(self) -> None:
        data = bytes(write.file_bytes(model(tiny_config(), enc.Q4)))
        for length in range(0, len(data), 331):
            with self.assertRaises(PhiFileError):
                self.open(data[:length])


if __name__ == "__main__":
    unittest.main()
