"""The Python wheel: the package with libphi, and the command `phi`."""
from __future__ import annotations

import base64
import hashlib
import time
import zipfile
from pathlib import Path

from parts import MACHINE, ROOT, SUMMARY, Tree, build_time, version


def write(tree: Tree, folder: Path) -> Path:
    """Writes swift_phi-VERSION-py3-none-manylinux_*.whl, the same bytes for the same tree and time."""
    tag = "py3-none-manylinux_{}_{}_{}".format(*tree.glibc, MACHINE)
    stem = f"swift_phi-{version()}"
    files: dict[str, tuple[bytes, int]] = {}
    for path in sorted((ROOT / "Tools/python/phi").iterdir()):
        if path.suffix == ".py" or path.name == "py.typed":
            files[f"phi/{path.name}"] = (path.read_bytes(), 0o644)
    files["phi/libphi.so.0"] = ((tree.usr / "lib/libphi.so.0").read_bytes(), 0o755)
    files[f"{stem}.data/scripts/phi"] = ((tree.usr / "bin/phi").read_bytes(), 0o755)
    information = f"{stem}.dist-info"
    licences = {f"{licence.component.replace(' ', '-')}.txt": licence.text for licence in tree.licences}
    for name, text in licences.items():
        files[f"{information}/licenses/{name}"] = (text.encode(), 0o644)
    files[f"{information}/METADATA"] = (metadata(licences).encode(), 0o644)
    files[f"{information}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: swift-phi\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(), 0o644)
    record = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}"
        for name, (data, _) in files.items()]
    files[f"{information}/RECORD"] = ("\n".join([*record, f"{information}/RECORD,,"]) + "\n", 0o644)

    out = folder / f"{stem}-{tag}.whl"
    # ZIP has no earlier time than that of 1980.
    date = time.gmtime(max(build_time(), 315_532_800))[:6]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, (data, mode) in files.items():
            info = zipfile.ZipInfo(name, date)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, (0o100000 | mode) << 16
            archive.writestr(info, data)
    return out


def metadata(licences: dict[str, str]) -> str:
    lines = [
        "Metadata-Version: 2.4", "Name: swift-phi", f"Version: {version()}", f"Summary: {SUMMARY}",
        "License-Expression: MIT AND Apache-2.0 WITH Swift-exception "
        "AND GPL-3.0-or-later WITH GCC-exception-3.1",
        *(f"License-File: {name}" for name in licences),
        "Requires-Python: >=3.11", "Provides-Extra: numpy", 'Requires-Dist: numpy; extra == "numpy"',
        "Classifier: Operating System :: POSIX :: Linux", "Classifier: Typing :: Typed",
        "Description-Content-Type: text/markdown", "",
        (ROOT / "Tools/python/README.md").read_text(),
    ]
    return "\n".join(lines)
