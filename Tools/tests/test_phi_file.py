"""The `.phi` reader against the test writer, and against plain loops over the formulas of Formats/phi-file.md.

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
from phitools.sample_model import model, tiny_config
from phitools.phi_error import PhiFileError
from phitools.phi_file import PhiFile

LEVELS = [0, 14, 24, 33, 41, 47, 53, 59, 65, 71, 76, 82, 89, 96, 106, 118]


def element(data: bytes, encoding: int, columns: int, r: int, c: int) -> float:
    """One element, by section 3's formulas."""
    blocks = -(-columns // 64)
    size = enc.BLOCK_BYTES[encoding]
    block = data[((r // 16) * blocks + c // 64) * size :][:size]
    i, k = r % 16, c % 64
    if encoding == enc.F32:
        return struct.unpack_from("<f", block, (16 * k + i) * 4)[0]
    if encoding == enc.F16:
        return struct.unpack_from("<e", block, (16 * k + i) * 2)[0]
    scale = struct.unpack_from("<e", block, 2 * (16 * (k // 32) + i))[0]
    if encoding == enc.Q8:
        return scale * (block[64 + 64 * (k // 4) + 4 * i + k % 4] - 128)
    byte = block[64 + 64 * (k // 8) + 4 * i + k % 4]
    return scale * (LEVELS[byte & 15 if k // 4 % 2 == 0 else byte >> 4] - 64)


class Encodings(unittest.TestCase):
    def test_any_bits_decode_as_the_formulas_say(self) -> None:
        random = np.random.default_rng(1)
        for encoding, size in enc.BLOCK_BYTES.items():
            for tiles, blocks in ((1, 1), (3, 2)):
                raw = random.integers(0, 256, (tiles * blocks, size), np.uint8)
                if encoding in (enc.Q8, enc.Q4):  # finite scales
                    raw[:, 1:64:2] &= 0xBB
                got = enc.unpack(raw.reshape(-1), encoding, blocks).values
                data = raw.tobytes()
                want = [[element(data, encoding, 64 * blocks, r, c) for c in range(64 * blocks)]
                        for r in range(16 * tiles)]
                np.testing.assert_array_equal(got, np.array(want, np.float32), str(encoding))

    def test_writer_and_reader_agree(self) -> None:
        random = np.random.default_rng(2)
        for rows, columns in ((1, 1), (16, 64), (17, 33), (40, 130)):
            values = random.standard_normal((rows, columns)).astype(np.float32)
            for encoding, most in ((enc.F32, 0.0), (enc.F16, 1e-3), (enc.Q8, 0.02), (enc.Q4, 0.5)):
                data = np.frombuffer(write.matrix_bytes(values, encoding), np.uint8)
                self.assertEqual(len(data), enc.tensor_bytes(encoding, rows, columns))
                tiles = enc.unpack(data, encoding, -(-columns // 64))
                error = np.abs(tiles.values[:rows, :columns] - values).max()
                self.assertLessEqual(error, most, f"{encoding} {rows}x{columns}")
                self.assertFalse(tiles.bits[rows:].any() or tiles.bits[:, columns:].any())


class WholeFile(unittest.TestCase):
    def open(self, data: bytes) -> PhiFile:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "model.phi"
        path.write_bytes(data)
        return PhiFile(path)

    def test_what_is_written_is_read(self) -> None:
        for encoding in enc.BLOCK_BYTES:
            sections = model(tiny_config(layers=2, heads=4, kv_heads=2), encoding)
            phi = self.open(write.file_bytes(sections))
            phi.verify()
            self.assertEqual((phi.config.layers, phi.config.kv_heads), (2, 2))
            self.assertEqual(phi.tokenizer.tokens[phi.tokenizer.merges[0][2]], b"th")
            self.assertEqual(len(list(phi.tensor_hashes())), 1 + 2 * 6 + 4)
            weight = next(s for s in sections if s.name == "block.1.out.weight")
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
