"""The Debian packages: libphi0, libphi-dev, swift-phi and swift-phi-server, from the staged tree by dpkg-deb."""
from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import subprocess
import textwrap
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from parts import MACHINE, ROOT, SUMMARY, Tree, build_time, version

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(MACHINE, MACHINE)
DEPLOY = ROOT / "Tools/deploy"


def maintainer(variables: Mapping[str, str]) -> str:
    """The maintainer as Debian's tools take it from DEBEMAIL, an address or "Name <address>", and DEBFULLNAME."""
    if not (given := variables.get("DEBEMAIL")):
        return "swift-phi <swift-phi@users.noreply.github.com>"
    name, address = found.groups() if (found := re.fullmatch(r"(.*?)\s*<(.*)>", given)) else ("", given)
    return f"{variables.get('DEBFULLNAME') or name or 'swift-phi'} <{address}>"


MAINTAINER = maintainer(os.environ)


@dataclass(frozen=True)
class Package:
    name: str
    section: str
    summary: str
    description: str
    #: Patterns below usr of the files that it contains.
    files: tuple[str, ...]
    relations: dict[str, str]
    #: Patterns of files that match the ones above but belong to another package.
    without: tuple[str, ...] = ()
    #: Maintainer scripts and other control files, by name.
    control: dict[str, str] = field(default_factory=dict)
    #: Files from elsewhere in the repository, by the path where they are installed.
    added: dict[str, Path] = field(default_factory=dict)
    #: Installed files that root alone may read.
    private: tuple[str, ...] = ()


def packages(tree: Tree) -> list[Package]:
    glibc = "libc6 (>= {}.{})".format(*tree.glibc)
    commands = ("bin/{0}", "share/man/man1/{0}.1", "share/bash-completion/completions/{0}",
                "share/zsh/site-functions/_{0}", "share/fish/vendor_completions.d/{0}.fish")
    major = version().split(".")[0]
    return [
        Package(
            f"libphi{major}", "libs", f"{SUMMARY} - library",
            "libphi runs language models of Microsoft's phi-1 family from .phi files, which are mapped and used in "
            "place. Results have the same bits for any number of threads.",
            ("lib/libphi.so.*",), {"Depends": glibc},
            control={
                "shlibs": f"libphi {major} libphi{major} (>= {version()})\n",
                "triggers": "activate-noawait ldconfig\n",
            }),
        Package(
            "libphi-dev", "libdevel", f"{SUMMARY} - C header",
            "libphi runs language models of Microsoft's phi-1 family from .phi files. "
            "This package has what building a program with it needs: phi.h and phi.pc.",
            ("include/*", "lib/libphi.so", "lib/pkgconfig/*"), {"Depends": f"libphi{major} (= {version()})"}),
        Package(
            "swift-phi", "science", SUMMARY,
            "The command phi converts checkpoints of phi-1, phi-1.5, phi-2 and their fine-tunes to quantised .phi "
            "files, completes text with them, and measures their speed and accuracy. A small "
            "model for trials is built in.",
            (*(pattern.format("phi") for pattern in commands), "share/man/man1/phi-*.1"),
            {"Depends": f"{glibc}, zlib1g", "Recommends": "bubblewrap, ca-certificates, libcurl4, python3"},
            without=("share/man/man1/phi-server.1",)),
        Package(
            "swift-phi-server", "science", f"{SUMMARY} - HTTP server",
            "phi-server serves a model of Microsoft's phi-1 family over HTTP, with OpenAI's interface for completions, "
            "continuous batching and a cache of prefixes. The service phi-server@PORT is not started by itself.",
            tuple(pattern.format("phi-server") for pattern in commands), {"Depends": glibc},
            control={
                "conffiles": "/etc/default/phi-server\n",
                "prerm": SERVER_PRERM, "postinst": SERVER_POSTINST, "postrm": SERVER_POSTRM,
            },
            added={
                "usr/lib/systemd/system/phi-server@.service": DEPLOY / "phi-server.service",
                "etc/default/phi-server": DEPLOY / "phi-server.default",
            },
            private=("etc/default/phi-server",)),
    ]


RELOAD = """if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null || true
fi
"""
# An upgrade goes on with the new program in the services that run.
SERVER_POSTINST = f"""#!/bin/sh
set -e
{RELOAD}if [ "$1" = configure ] && [ -n "$2" ] && [ -d /run/systemd/system ]; then
    deb-systemd-invoke try-restart 'phi-server@*.service' >/dev/null || true
fi
"""
SERVER_PRERM = """#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    deb-systemd-invoke stop 'phi-server@*.service' >/dev/null || true
fi
"""
# What `systemctl enable` wrote, and the services: folders in private, and links to them.
SERVER_POSTRM = f"""#!/bin/sh
set -e
if [ "$1" = purge ]; then
    rm -f /etc/systemd/system/*.wants/phi-server@*.service
    rm -rf /var/cache/phi-server /var/cache/private/phi-server
fi
{RELOAD}"""


def write(tree: Tree, folder: Path) -> list[Path]:
    """Writes the packages, the same bytes for the same tree and time."""
    return [build(package, tree, folder) for package in packages(tree)]


def build(package: Package, tree: Tree, folder: Path) -> Path:
    root = tree.root.parent / "deb" / package.name
    shutil.rmtree(root, ignore_errors=True)
    for source in matching(tree.usr, package):
        copy(source, root / "usr" / moved(source.relative_to(tree.usr)))
    for path, source in package.added.items():
        copy(source, root / path)
    write_documents(package, tree, root / "usr/share/doc" / package.name)
    for page in root.glob("usr/share/man/man1/*.1"):
        compress(page, page.read_bytes())
    write_control(package, root)
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    for name in package.private:
        (root / name).chmod(0o600)
    out = folder / f"{package.name}_{version()}_{ARCHITECTURE}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", root, out], check=True, stdout=subprocess.DEVNULL,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(build_time())})
    return out


def matching(usr: Path, package: Package) -> Iterable[Path]:
    """The files of a package. A pattern without one is an error."""
    left_out = {path for pattern in package.without for path in usr.glob(pattern)}
    for pattern in package.files:
        paths = set(usr.glob(pattern)) - left_out
        if not paths:
            raise SystemExit(f"{package.name}: no file {pattern}")
        yield from sorted(paths)


def moved(path: Path) -> Path:
    """Where Debian has a file."""
    return Path(str(path).replace("share/zsh/site-functions", "share/zsh/vendor-completions"))


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target, follow_symlinks=False)


def compress(path: Path, data: bytes) -> None:
    """Writes a file with .gz at its end in the place of `path`."""
    path.unlink(missing_ok=True)
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(data, 9, mtime=0))


def write_documents(package: Package, tree: Tree, folder: Path) -> None:
    folder.mkdir(parents=True)
    parts = [f"{licence.component}\n{'=' * len(licence.component)}\n\n{licence.short()}" for licence in tree.licences]
    head = "The licences of swift-phi and of what its programs and libraries contain:\n"
    (folder / "copyright").write_text("\n\n".join([head, *parts]))
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(build_time()))
    entry = [
        f"swift-phi ({version()}) unstable; urgency=medium", f"  * Version {version()}.", f" -- {MAINTAINER}  {date}\n"]
    compress(folder / "changelog", "\n\n".join(entry).encode())


def write_control(package: Package, root: Path) -> None:
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    sizes = sum(-(-path.stat().st_size // 1024) for path in files)
    fields = {
        "Package": package.name, "Source": "swift-phi", "Version": version(), "Architecture": ARCHITECTURE,
        "Maintainer": MAINTAINER, "Installed-Size": str(sizes), **package.relations, "Section": package.section,
        "Priority": "optional",
        "Description": "\n ".join([package.summary, *textwrap.wrap(package.description, 76)]),
    }
    control = root / "DEBIAN"
    control.mkdir()
    (control / "control").write_text("".join(f"{name}: {value}\n" for name, value in fields.items() if value))
    (control / "md5sums").write_text("".join(
        f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in files
        if not str(path.relative_to(root)).startswith("etc/")))
    for name, text in package.control.items():
        (control / name).write_text(text)
        if text.startswith("#!"):
            (control / name).chmod(0o755)
