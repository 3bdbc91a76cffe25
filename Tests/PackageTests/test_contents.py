"""What the packages of `make package` contain."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile
from pathlib import Path

from roots import PACKAGES, ROOT, package

sys.path.insert(0, str(ROOT / "Tools/package"))
import man  # noqa: E402
import parts  # noqa: E402

DEBIAN_12 = (2, 36)
SYSTEM = {"libc.so.6", "libm.so.6", "libz.so.1", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}
DEBS = ("libphi0", "libphi-dev", "swift-phi", "swift-phi-server")


def run(*command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=check)


class Contents(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        with tarfile.open(package("swift-phi-*.tar.gz")) as archive:
            archive.extractall(cls.folder, filter="tar")
        cls.prefix = next(cls.folder.glob("swift-phi-*"))
        cls.binaries = [path for path in cls.prefix.rglob("*") if parts.is_elf(path)]
        for name in DEBS:
            run("dpkg-deb", "-x", package(f"{name}_*.deb"), cls.folder / "deb")
        with zipfile.ZipFile(package("*.whl")) as archive:
            archive.extractall(cls.folder / "wheel")

    def test_files(self) -> None:
        version = parts.version()
        for name in [
            "bin/phi", "bin/phi-server", "include/phi.h", f"lib/libphi.so.{version}", "lib/libphi.so.0",
            "lib/libphi.so", "lib/pkgconfig/phi.pc", "share/man/man1/phi.1",
            "share/man/man1/phi-convert.1", "share/man/man1/phi-server.1", "share/bash-completion/completions/phi",
            "share/zsh/site-functions/_phi", "share/fish/vendor_completions.d/phi.fish",
            "share/doc/swift-phi/LICENSE",
        ]:
            self.assertTrue((self.prefix / name).exists(), name)
        self.assertEqual(self.prefix.name, f"swift-phi-{version}-linux-{parts.MACHINE}")
        for path in PACKAGES.iterdir():
            if path.name != "SHA256SUMS":
                self.assertIn(version, path.name)

    def test_binaries_need_the_system_of_debian_12_alone(self) -> None:
        self.assertEqual(len(self.binaries), 3)
        for path in self.binaries:
            with self.subTest(path.name):
                self.assertLessEqual(max(parts.glibc_versions(path)), DEBIAN_12)
                self.assertLessEqual(parts.needed_libraries(path), SYSTEM)
                self.assertNotIn(".symtab", run("readelf", "--sections", "--wide", path).stdout)
                self.assertNotRegex(run("readelf", "--dynamic", "--wide", path).stdout, r"R(UN)?PATH")

    def test_all_packages_have_the_same_binaries(self) -> None:
        for path in self.binaries:
            name = str(path.relative_to(self.prefix))
            self.assertEqual((self.folder / "deb/usr" / name).read_bytes(), path.read_bytes(), name)
        for name, pattern in [("bin/phi", "*.data/scripts/phi"), ("lib/libphi.so.0", "phi/libphi.so.0")]:
            in_wheel = next((self.folder / "wheel").glob(pattern))
            self.assertEqual(in_wheel.read_bytes(), (self.prefix / name).read_bytes(), name)

    def test_licences(self) -> None:
        """Of everything inside, in every package."""
        folder = self.prefix / "share/doc/swift-phi/licences"
        texts = {path.stem: path.read_text() for path in folder.iterdir()}
        for name in ["swift-phi", "Swift", "GNUs-C++-library", "swift-argument-parser", "swift-nio"]:
            self.assertGreater(len(texts[name]), 500, name)
        self.assertEqual(len(list(self.folder.glob("wheel/*.dist-info/licenses/*"))), len(texts))
        for name in DEBS:
            text = (self.folder / "deb/usr/share/doc" / name / "copyright").read_text()
            for component in ("swift-phi", "Swift", "GNU's C++ library", "hummingbird"):
                self.assertIn(f"\n{component}\n", text)
            self.assertIn("Runtime Library Exception", text)

    @unittest.skipUnless("PHI_STAGE" in os.environ, "takes long: make release-check")
    def test_are_made_the_same_again(self) -> None:
        with tarfile.open(package("swift-phi-*.tar.gz")) as archive:
            time = archive.next().mtime
        again = self.folder / "again"
        subprocess.run(
            [sys.executable, ROOT / "Tools/package/make.py", "--stage", os.environ["PHI_STAGE"], "--checkouts",
             ROOT / ".build/checkouts", "--out", again],
            check=True, stdout=subprocess.DEVNULL, env={**os.environ, "SOURCE_DATE_EPOCH": str(time)})
        self.assertEqual((again / "SHA256SUMS").read_text(), (PACKAGES / "SHA256SUMS").read_text())

    def test_wheel_is_manylinux(self) -> None:
        tag = re.search(r"manylinux_\d+_\d+_\w+", package("*.whl").name)[0]
        auditwheel = shutil.which("auditwheel", path=os.environ.get("PHI_TOOLS"))
        if auditwheel is None:
            self.skipTest("no auditwheel in $PHI_TOOLS")
        shown = " ".join(run(auditwheel, "show", package("*.whl")).stdout.split())
        self.assertIn(f'is consistent with the following platform tag: "{tag}"', shown)

    def test_debs_pass_lintian(self) -> None:
        if shutil.which("lintian") is None:
            self.skipTest("no lintian")
        shown = run("lintian", "--fail-on", "error", *(package(f"{name}_*.deb") for name in DEBS), check=False)
        self.assertEqual(shown.returncode, 0, shown.stdout)


class ManualPages(unittest.TestCase):
    def test_text_is_printed_as_it_is(self) -> None:
        self.assertEqual(man.escape(".a 'b' `c` \\d -e"), "\\&.a \\(aqb\\(aq \\(gac\\(ga \\ed \\-e")

    def test_page(self) -> None:
        argument = {"isOptional": True, "isRepeating": False, "shouldDisplay": True}
        file = {**argument, "kind": "positional", "valueName": "file", "abstract": "A file.", "isOptional": False}
        long, letter = {"kind": "long", "name": "number"}, {"kind": "short", "name": "n"}
        short = {
            **argument, "kind": "option", "valueName": "n", "names": [long, letter], "preferredName": long,
            "abstract": "A number.", "defaultValue": "7", "isRepeating": True}
        hidden = {**file, "shouldDisplay": False, "valueName": "secret"}
        command = {"commandName": "part", "abstract": "Do it.", "arguments": [file, short, hidden]}
        (_, whole), (name, page) = man.pages(
            ["do"], {"commandName": "do", "abstract": "Do.", "subcommands": [command]}, "1.2.3", "2026-01-02")
        self.assertEqual(name, "do-part.1")
        self.assertIn('.TH DO-PART 1 2026-01-02 "swift\\-phi 1.2.3"', page)
        self.assertIn("do\\-part \\- do it\n", page)
        self.assertIn(".TP\n\\fB\\-n\\fR, \\fB\\-\\-number\\fR \\fIn\\fR\nA number. The default is 7.\n", page)
        self.assertIn("[\\fB\\-\\-number\\fR \\fIn\\fR ...]\n\\fIfile\\fR\n", page)
        self.assertNotIn("secret", page)
        self.assertIn("\\fBdo\\-part\\fR(1)", whole)
        self.assertIn("\\fBdo\\fR\n\\fIsubcommand\\fR\n", whole)
        self.assertNotIn("number", whole)
        # Without a name the default subcommand is meant, so its options are the command's, too.
        whole = man.page(
            ["do"], {"commandName": "do", "abstract": "Do.", "subcommands": [command], "defaultSubcommand": "part"},
            "1.2.3", "2026-01-02")
        self.assertIn("[\\fIsubcommand\\fR]\n[\\fB\\-\\-number\\fR", whole)
        self.assertIn("\\fB\\-\\-number\\fR \\fIn\\fR\nA number.", whole)


if __name__ == "__main__":
    unittest.main()
