"""What Tools/deploy says of phi-server as a service and in an image, and the scripts of its Debian package."""
from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from roots import ROOT

sys.path.insert(0, str(ROOT / "Tools/package"))
import deb  # noqa: E402

DEPLOY = ROOT / "Tools/deploy"
COMMAND = (ROOT / "Sources/PhiServerCommand/PhiServerCommand.swift").read_text()


class Unit(unittest.TestCase):
    def setUp(self) -> None:
        parser = configparser.RawConfigParser(strict=False)
        parser.optionxform = str
        parser.read(DEPLOY / "phi-server.service")
        self.service = parser["Service"]

    def test_options_can_be_replaced(self) -> None:
        """phi-server refuses an option that is given twice, so the unit's own are few."""
        self.assertEqual(self.service["ExecStart"], "/usr/bin/phi-server --port %i $PHI_SERVER_OPTIONS")
        self.assertEqual(self.service["Environment"], '"PHI_SERVER_OPTIONS=--log-format json"')
        files = re.findall(r"(?m)^EnvironmentFile=(.*)$", (DEPLOY / "phi-server.service").read_text())
        self.assertEqual(files, ["-/etc/default/phi-server", "-/etc/default/phi-server@%i"])  # the last one counts

    def test_the_file_of_options(self) -> None:
        text = (DEPLOY / "phi-server.default").read_text()
        self.assertEqual(re.findall(r"(?m)^#?(\w+)=", text), ["PHI_SERVER_OPTIONS", "PHI_SERVER_API_KEY"])
        self.assertIn('environment["PHI_SERVER_API_KEY"]', COMMAND)
        options = re.search(r'PHI_SERVER_OPTIONS="(.*)"', text)[1]
        self.assertTrue(options.startswith("--log-format json "), options)
        self.assertNotRegex(options, "--port|--host")

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze")
    def test_systemd_takes_it(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "phi-server@8080.service"
            text = (DEPLOY / "phi-server.service").read_text()
            # The programs of the machine's own units may be missing, this one's too.
            file.write_text(text.replace("/usr/bin/phi-server ", "/bin/sh ").replace("Documentation=", "#"))
            shown = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True).stderr
            self.assertNotIn("phi-server", shown)


class Image(unittest.TestCase):
    def test_options_of_the_entry_point_are_given_once(self) -> None:
        """What follows the image's name replaces CMD and is added to ENTRYPOINT."""
        stage = (DEPLOY / "Dockerfile").read_text().rsplit("\nFROM ", 1)[1]
        entry = json.loads(re.search(r"(?m)^ENTRYPOINT (\[.*\])$", stage)[1])
        self.assertEqual(entry, ["phi-server", "--host", "0.0.0.0"])
        self.assertNotRegex(stage, "(?m)^CMD")
        for name in ("Dockerfile", "kubernetes.yaml"):
            text = (DEPLOY / name).read_text().replace(json.dumps(entry), "")
            self.assertNotRegex(text, r"--host[ =]\d|- --port", name)


@unittest.skipUnless(shutil.which("bwrap"), "no bwrap")
class Scripts(unittest.TestCase):
    """The server's maintainer scripts, where systemd's folders and caches are the test's own."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name in ("units", "cache", "run/systemd/system", "bin"):
            (self.folder / name).mkdir(parents=True)
        for name in ("systemctl", "deb-systemd-invoke"):
            program = self.folder / "bin" / name
            program.write_text(f'#!/bin/sh\necho {name} "$@" >> "{self.folder}/calls"\n')
            program.chmod(0o755)

    def calls(self, script: str, *arguments: str) -> list[str]:
        """What a script calls."""
        record = self.folder / "calls"
        record.write_text("")
        (self.folder / "script").write_text(script)
        subprocess.run(
            ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--bind", self.folder / "units", "/etc/systemd/system",
             "--bind", self.folder / "cache", "/var/cache", "--bind", self.folder / "run", "/run",
             "--bind", self.folder, self.folder, "--setenv", "PATH", f"{self.folder}/bin:/usr/bin:/bin",
             "sh", self.folder / "script", *arguments], check=True)
        return record.read_text().splitlines()

    def test_an_upgrade_restarts_what_runs(self) -> None:
        reload, restart = "systemctl --system daemon-reload", "deb-systemd-invoke try-restart phi-server@*.service"
        self.assertEqual(self.calls(deb.SERVER_POSTINST, "configure", "0.1.0"), [reload, restart])
        self.assertEqual(self.calls(deb.SERVER_POSTINST, "configure", ""), [reload])
        self.assertEqual(self.calls(deb.SERVER_POSTINST, "configure"), [reload])
        self.assertEqual(self.calls(deb.SERVER_PRERM, "upgrade", "0.2.0"), [])
        self.assertEqual(self.calls(deb.SERVER_PRERM, "remove"), ["deb-systemd-invoke stop phi-server@*.service"])
        shutil.rmtree(self.folder / "run/systemd")
        for script in (deb.SERVER_POSTINST, deb.SERVER_PRERM, deb.SERVER_POSTRM):
            self.assertEqual(self.calls(script, "remove"), [])

    def test_a_purge_leaves_nothing(self) -> None:
        wants = self.folder / "units/multi-user.target.wants"
        wants.mkdir()
        for name in ("phi-server@8080.service", "phi-server@8081.service", "other.service"):
            (wants / name).symlink_to("/usr/lib/systemd/system/" + name)
        cache = self.folder / "cache"
        for name in ("phi-server", "private/phi-server/8080", "private/other"):
            (cache / name).mkdir(parents=True)
        (cache / "phi-server/8080").symlink_to("../private/phi-server/8080")
        (cache / "private/phi-server/8080/prefix").touch()
        before = sorted(self.folder.rglob("*"))
        self.calls(deb.SERVER_POSTRM, "remove")
        self.calls(deb.SERVER_POSTRM, "upgrade", "0.2.0")
        self.assertEqual(
            [path for path in sorted(self.folder.rglob("*")) if path.name not in ("calls", "script")], before)
        self.calls(deb.SERVER_POSTRM, "purge")
        self.assertEqual([path.name for path in wants.iterdir()], ["other.service"])
        left = [str(path.relative_to(cache)) for path in sorted(cache.rglob("*"))]
        self.assertEqual(left, ["private", "private/other"])


class Maintainer(unittest.TestCase):
    def test_is_that_of_debians_tools(self) -> None:
        for variables, expected in [
            ({}, "swift-phi <swift-phi@users.noreply.github.com>"),
            ({"DEBFULLNAME": "A B"}, "swift-phi <swift-phi@users.noreply.github.com>"),
            ({"DEBEMAIL": "a@b.example", "DEBFULLNAME": "A B"}, "A B <a@b.example>"),
            ({"DEBEMAIL": "C D <a@b.example>"}, "C D <a@b.example>"),
            ({"DEBEMAIL": "C D <a@b.example>", "DEBFULLNAME": "A B"}, "A B <a@b.example>"),
            ({"DEBEMAIL": "a@b.example"}, "swift-phi <a@b.example>"),
        ]:
            self.assertEqual(deb.maintainer(variables), expected)


if __name__ == "__main__":
    unittest.main()
