"""`make install` and `make package` in a copy of the repository, with a stand-in for Swift that builds nothing."""
from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile
from pathlib import Path

from roots import ROOT

COPIED = (
    "Makefile", "LICENSE", "README.md", "CHANGELOG.md", "Package.resolved", "Sources/Phi/Version.swift",
    "Sources/CPhi/include/phi.h", "Sources/CPhi/phi.pc.in", "Tools/package", "Tools/deploy", "Tools/python/README.md",
    "Tools/python/phi")
#: Notes each call, and puts a program there in the place of what it was to build.
SWIFT = """#!/bin/sh
echo "$*" >> .build/swift.log
for product; do :; done
mkdir -p .build/release .build/checkouts
if [ "$product" = CPhi ]; then cp TRUE .build/release/libCPhi.so; exit; fi
cat > ".build/release/$product" <<'END'
#!/bin/sh
name=${0##*/}
case $1 in
--version) echo 1.2.3 ;;
--experimental-dump-help)
    echo '{"command": {"commandName": "'$name'", "abstract": "Do.", "subcommands": [
        {"commandName": "part", "abstract": "Do a part."}]}}' ;;
--generate-completion-script) echo "completions of $name for $2" ;;
esac
END
chmod 755 ".build/release/$product"
"""
STAND_INS = {
    "swift": SWIFT.replace("TRUE", shutil.which("true") or "/bin/true"), "swiftc": "#!/bin/sh\nexit 1\n",
    "clang": "#!/bin/sh\necho /dev/null\n", "strip": "#!/bin/sh\nexit 0\n",
    "sudo": "#!/bin/sh\nexit 1\n", "apt-get": "#!/bin/sh\nexit 1\n",
}
#: What a make around the tests hands down.
OF_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "PREFIX", "DESTDIR", "SOURCE_DATE_EPOCH")
NOBODY = 65534


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


class Copy(unittest.TestCase):
    """A copy of the repository in a folder whose path a shell takes apart unless it is quoted."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.folder.chmod(0o755)
        self.checkout = self.folder / "it's a checkout"
        for name in COPIED:
            target = self.checkout / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, target)
        (self.checkout / ".build").mkdir()
        for name, text in STAND_INS.items():
            write(self.folder / "swift/bin" / name, text)
        write(self.folder / "swift/share/swift/LICENSE.txt", "A licence.\n")

    def make(
        self, *arguments: str, umask: int = 0o022, path: str | None = None, ordinary: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Runs make in the copy. `path`: programs instead of the machine's. `ordinary`: not as root."""
        environment = {name: value for name, value in os.environ.items() if name not in OF_MAKE}
        environment["PATH"] = f"{self.folder}/swift/bin:" + (path or os.environ["PATH"] + ":/usr/sbin:/sbin")
        more = {}
        if ordinary and os.geteuid() == 0:
            more = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            for name in [self.checkout, *self.checkout.rglob("*")]:
                os.chown(name, NOBODY, NOBODY)
        if not any(word.startswith("PYTHON=") for word in arguments):
            arguments += (f"PYTHON={'python3' if ordinary else sys.executable}",)
        return subprocess.run(
            [shutil.which("make"), *arguments], cwd=self.checkout, env=environment, capture_output=True, text=True,
            umask=umask, timeout=300, **more)

    def built(self) -> bool:
        return (self.checkout / ".build/swift.log").exists()

    def assert_public(self, folder: Path) -> None:
        """All users can read what is in the folder."""
        for path in folder.rglob("*"):
            if not path.is_symlink():
                mode = stat.S_IMODE(path.stat().st_mode)
                self.assertIn(mode, (0o755,) if path.is_dir() else (0o644, 0o755), path)


class Install(Copy):
    def test_installs_for_all_users_whatever_the_path_and_the_umask(self) -> None:
        prefix = self.folder / "the user's/$HOME"
        outcome = self.make("install", "install-server", f"PREFIX={prefix}".replace("$", "$$"), umask=0o077)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertIn(f"{prefix}/lib is not on the loader's path", outcome.stdout)
        for name in (
                "bin/phi", "bin/phi-server", "lib/libphi.so", "include/phi.h", "share/man/man1/phi.1",
                "share/man/man1/phi-part.1", "share/man/man1/phi-server.1"):
            self.assertTrue((prefix / name).exists(), name)
        self.assertRegex((prefix / "lib/pkgconfig/phi.pc").read_text(), r"Version: \d")
        self.assertEqual(
            (prefix / "share/zsh/site-functions/_phi-server").read_text(), "completions of phi-server for zsh\n")
        self.assert_public(prefix.parent)

    def test_a_folder_that_the_user_may_not_write_is_told_before_the_build(self) -> None:
        prefix = self.folder / "system"
        (prefix / "bin").mkdir(parents=True)
        (prefix / "bin").chmod(0o555)
        for target in ("install", "install-server"):
            outcome = self.make(target, f"PREFIX={prefix}", ordinary=True)
            self.assertEqual(outcome.returncode, 2)
            self.assertEqual(
                outcome.stderr.split("\n")[0],
                f'you may not write into {prefix}/bin: make {target} PREFIX="$HOME/.local", or '
                f'sudo env PATH="$PATH" make {target}')
        (self.folder / "file").touch()
        outcome = self.make("install", f"PREFIX={self.folder}/file")
        self.assertIn(f"{self.folder}/file is not a folder", outcome.stderr)
        # A shell that leaves ~ as it is would have it made in the repository.
        outcome = self.make("install", "PREFIX=~/.local")
        self.assertRegex(outcome.stderr, r"\APREFIX must be a path from the root, .*; it is ~/\.local\n")
        self.assertFalse(self.built())

    def test_python_is_looked_for_before_the_build(self) -> None:
        outcome = self.make("install", f"PREFIX={self.folder}/there", "PYTHON=no-such-python")
        self.assertRegex(outcome.stderr, r"\Ano-such-python does not run, .*\n")
        self.assertFalse(self.built())


class Package(Copy):
    @unittest.skipUnless(shutil.which("dpkg-deb"), "no dpkg-deb")
    def test_packages_whatever_the_path_and_the_umask(self) -> None:
        """Of a time before that of ZIP files, beside folders that an unquoted path would name."""
        for beside in (self.folder / "its", self.checkout / "a"):
            write(beside / ".build/stage/kept", "")
            write(beside / "kept", "")
        for name in COPIED:
            for path in [self.checkout / name, *(self.checkout / name).rglob("*")]:
                path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)
        outcome = self.make("package", "SOURCE_DATE_EPOCH=0", umask=0o077)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertEqual(len(list(self.folder.rglob("kept"))), 4)
        self.assert_public(self.checkout / ".build/stage/usr")
        packages = self.checkout / ".build/packages"
        with tarfile.open(next(packages.glob("*.tar.gz"))) as archive:
            modes = {member.name.partition("/")[2]: member.mode for member in archive if member.isfile()}
        self.assertEqual(set(modes.values()), {0o644, 0o755})
        for name, mode in [
            ("bin/phi", 0o755), ("share/man/man1/phi.1", 0o644), ("share/doc/swift-phi/README.md", 0o644),
            ("lib/pkgconfig/phi.pc", 0o644),
        ]:
            self.assertEqual(modes[name], mode, name)
        with zipfile.ZipFile(next(packages.glob("*.whl"))) as archive:
            self.assertEqual({info.date_time for info in archive.infolist()}, {(1980, 1, 1, 0, 0, 0)})
        for package in packages.glob("*.deb"):
            shown = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True).stdout
            private = {line.split()[-1] for line in shown.splitlines() if line.startswith("-rw-------")}
            self.assertEqual(private, {"./etc/default/phi-server"} if "server" in package.name else set())
            others = {line[:10] for line in shown.splitlines()} - {"-rw-------"}
            self.assertLessEqual(others, {"drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--", "lrwxrwxrwx"}, package)

    def test_what_is_missing_is_told_before_the_build(self) -> None:
        few = self.folder / "few"
        few.mkdir()
        for name in ("sh", "date"):
            (few / name).symlink_to(shutil.which(name))
        outcome = self.make("package", path=str(few))
        self.assertEqual(
            outcome.stderr.split("\n")[0],
            "dpkg-deb is missing: packages are made on Debian or Ubuntu, with dpkg and binutils")
        self.assertFalse(self.built())


class LoaderPath(unittest.TestCase):
    """ldconfig.sh, with a stand-in for ldconfig."""

    def test_folders_are_compared_as_they_are_meant(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            listed = "/usr/local/lib: (from /etc/ld.so.conf.d/libc.conf:2)\n\tlibx.so.1 -> libx.so.1.2\n/opt/a+b/lib:\n"
            (Path(folder) / "list").write_text(listed)
            write(Path(folder) / "ldconfig", f'#!/bin/sh\n[ $# = 0 ] || cat "{folder}/list"\n')
            for name, found in [
                ("/usr/local/lib", True), ("/usr/local/lib/", True), ("/usr//local///lib//", True), ("/usr/lib/", True),
                ("/opt/a+b/lib", True), ("/usr/loca./lib", False), ("/usr/local", False), ("/opt/a b/lib", False),
            ]:
                shown = subprocess.run(
                    [ROOT / "Tools/package/ldconfig.sh", name], capture_output=True, text=True, check=True,
                    env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}).stdout
                self.assertEqual("is not on the loader's path" not in shown, found, f"{name}: {shown}")


if __name__ == "__main__":
    unittest.main()
