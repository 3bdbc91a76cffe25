"""The versions of packages that commands are built with."""
import json
import re
import unittest
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


class ResolvedTests(unittest.TestCase):
    def test_every_package_has_a_version(self) -> None:
        pins = json.loads((REPOSITORY / "Tools/package/versions.json").read_text())["pins"]
        versions = {pin["location"].removesuffix(".git"): pin["state"]["version"] for pin in pins}
        asked = re.findall(r'url: "([^"]+)", from: "([\d.]+)"', (REPOSITORY / "Package.swift").read_text())
        self.assertGreater(len(asked), 5)
        for url, least in asked:
            found = [int(part) for part in versions[url.removesuffix(".git")].split(".")]
            wanted = [int(part) for part in least.split(".")]
            self.assertTrue(found >= wanted and found[0] == wanted[0], url)


if __name__ == "__main__":
    unittest.main()
