"""Tests of the sample files: good ones are read, faulty ones refused for the right reason, committed ones current."""
from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from phitools import make_samples
from phitools.phi_error import PhiFileError
from phitools.phi_file import PhiFile


class Samples(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "sample.phi"

    def test_good_files_are_read_and_verified(self) -> None:
        for name, data in make_samples.good():
            with self.subTest(name):
                self.path.write_bytes(data)
                PhiFile(self.path).verify()

    def test_refused_files_are_refused_for_their_fault(self) -> None:
        for name, data, words in make_samples.refused():
            with self.subTest(name):
                self.path.write_bytes(data)
                if name.startswith("verify-"):
                    phi = PhiFile(self.path)
                    with self.assertRaises(PhiFileError) as caught:
                        phi.verify()
                else:
                    with self.assertRaises(PhiFileError) as caught:
                        PhiFile(self.path)
                self.assertIn(words, str(caught.exception))
                self.assertNotIn("\n", str(caught.exception))

    def test_committed_files_are_what_is_made(self) -> None:
        made = {f"good/{name}.phi": bytes(data) for name, data in make_samples.good()}
        made |= {f"refused/{name}.phi": data for name, data, _ in make_samples.refused()}
        there = {str(path.relative_to(make_samples.FORMATS)): path.read_bytes()
                 for path in make_samples.FORMATS.glob("*/*.phi")}
        self.assertEqual(sorted(made), sorted(there))
        self.assertEqual([name for name in made if made[name] != there[name]], [])

    def test_names_are_distinct(self) -> None:
        names = [name for name, _, _ in make_samples.refused()]
        self.assertEqual(len(names), len(set(names)))


if __name__ == "__main__":
    unittest.main()
