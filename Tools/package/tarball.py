"""The relocatable tarball."""
from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

from parts import MACHINE, ROOT, Tree, build_time, version


def write(tree: Tree, folder: Path) -> Path:
    """Writes swift-phi-VERSION-linux-MACHINE.tar.gz, the same bytes for the same tree and time."""
    name = f"swift-phi-{version()}-linux-{MACHINE}"
    out = folder / f"{name}.tar.gz"
    contents: dict[str, Path | bytes] = {
        str(path.relative_to(tree.usr)): path for path in tree.usr.rglob("*") if path.is_symlink() or path.is_file()}
    for document in ("LICENSE", "README.md", "CHANGELOG.md"):
        contents[f"share/doc/swift-phi/{document}"] = ROOT / document
    for licence in tree.licences:
        file_name = licence.component.replace("'", "").replace(" ", "-") + ".txt"
        contents[f"share/doc/swift-phi/licences/{file_name}"] = licence.text.encode()

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        # Modes do not depend on the umask of who staged or checked out the files.
        if info.isfile():
            info.mode = 0o755 if info.mode & 0o100 else 0o644
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        info.mtime = build_time()
        return info

    with out.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=build_time()) as packed, \
            tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, source in sorted(contents.items()):
            if isinstance(source, bytes):
                info = tarfile.TarInfo(f"{name}/{path}")
                info.size, info.mode = len(source), 0o644
                archive.addfile(plain(info), io.BytesIO(source))
            else:
                archive.add(source, f"{name}/{path}", filter=plain)
    return out
