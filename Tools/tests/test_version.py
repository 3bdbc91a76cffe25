"""The version is stated in Sources/Phi/Version.swift; whatever must state it once more says the same."""
from __future__ import annotations

import re
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tools/package"))
import parts  # noqa: E402

PLACES = {
    "Sources/CPhi/include/phi.h": "".join(
        rf"#define PHI_VERSION_{part} (\d+)\n" for part in ("MAJOR", "MINOR", "PATCH")),
    "Tools/pyproject.toml": r'(?m)^version = "(.*)"',
    "Tools/deploy/kubernetes.yaml": r"/phi-server:(\S+)",
    "Tools/deploy/Dockerfile": r" phi-server:([\d.]+)",
}


class Version(unittest.TestCase):
    def test_agrees_everywhere(self) -> None:
        for path, pattern in PLACES.items():
            found = re.findall(pattern, (ROOT / path).read_text())
            self.assertTrue(found, path)
            for version in found:
                self.assertEqual(version if isinstance(version, str) else ".".join(version), parts.version(), path)

    def test_has_a_section_in_the_changelog(self) -> None:
        headings = re.findall(r"(?m)^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text())
        self.assertEqual(headings[0], "Unreleased")
        self.assertEqual(headings[1], parts.version())


if __name__ == "__main__":
    unittest.main()
