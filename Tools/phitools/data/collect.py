"""Collection of Python files from folders, the standard library, installed packages or a Hugging Face data set.

Each document states its origin and licence; files without a permissive licence are skipped and counted.
"""
from __future__ import annotations

import importlib.metadata
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from .steps import name

PERMISSIVE = re.compile(
    r"\b(mit|bsd|apache|psf|python software foundation|isc|unlicense|zlib|hpnd|0bsd)\b", re.IGNORECASE)
RESTRICTED = re.compile(r"gpl|gnu|mozilla|mpl|proprietary|eupl|nvidia|commercial|creative", re.IGNORECASE)
SKIPPED = {
    "test", "tests", "testing", "idlelib", "lib2to3", "site-packages", "dist-packages", "turtledemo", "pydoc_data",
    "ensurepip", "__pycache__", "_vendor", "vendor", "vendored"}
NOTICE = re.compile(r"copyright|licen[cs]e|warrant|permission|redistribut|-\*-|all rights", re.IGNORECASE)


@dataclass(frozen=True)
class Origin:
    """A set of files under one licence."""

    name: str
    licence: str
    files: list[tuple[str, Path]]
    """Name within the origin, and path."""


def licence_of(distribution: importlib.metadata.Distribution) -> str:
    """A package's licence from its metadata: the expression, the classifiers or the field; empty if there is none."""
    m = distribution.metadata
    classifiers = [c.rsplit("::", 1)[1].strip() for c in m.get_all("Classifier") or [] if c.startswith("License ::")]
    field = (m.get("License") or "").strip().splitlines()
    return (
        m.get("License-Expression") or ", ".join(c for c in classifiers if c != "OSI Approved")
        or (field[0] if field else "")).strip()


def permissive(licence: str) -> bool:
    """Return whether a licence's name is known to be permissive."""
    return bool(PERMISSIVE.search(licence)) and not RESTRICTED.search(licence)


def standard_library() -> Origin:
    root = Path(sysconfig.get_paths()["stdlib"])
    files = [
        p for p in sorted(root.rglob("*.py")) if not SKIPPED & set(p.relative_to(root).parts)
        and not re.search(r"_sysconfigdata|config-\d|/encodings/", str(p))]
    return Origin("standard library", "PSF-2.0", [(str(p.relative_to(root)), p) for p in files])


def packages(folder: Path | None = None) -> Iterator[Origin]:
    """Yield all distributions that are installed, or installed in `folder`, under whatever licence."""
    found = importlib.metadata.distributions(**({"path": [str(folder)]} if folder else {}))
    for d in sorted(found, key=lambda d: (d.metadata["Name"] or "").lower()):
        files = [
            (str(f), Path(str(d.locate_file(f)))) for f in d.files or [] if f.suffix == ".py" and not SKIPPED
            & set(f.parts)]
        yield Origin(f"{d.metadata['Name']} {d.version}", licence_of(d), sorted(files))


def folder(path: Path, licence: str) -> Origin:
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such folder")
    return Origin(path.name, licence, [(str(p.relative_to(path)), p) for p in sorted(path.rglob("*.py"))])


def without_notices(source: str) -> str:
    """The text without comment blocks about licences and without trailing whitespace."""
    out: list[str] = []
    block: list[str] = []
    for line in [*source.expandtabs(4).splitlines(), ""]:
        if line.startswith("#"):
            block.append(line)
            continue
        if block and not any(NOTICE.search(b) for b in block):
            out += block
        block = []
        out.append(line.rstrip())
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(out)).strip() + "\n"


def pieces(source: str, size: int) -> Iterator[str]:
    """Cut a module at top-level statements into pieces of about `size` characters."""
    part = ""
    for chunk in re.split(r"\n\n+(?=\S)", source):
        if part and len(part) + len(chunk) > size:
            yield part.strip() + "\n"
            part = ""
        part += chunk + "\n\n"
    if part.strip():
        yield part.strip() + "\n"


class Collect(PipelineStep):
    """A pipeline source that cuts the origins' files into documents and counts those it skips."""

    name, type = "collect", "READER"

    def __init__(
            self, folders: list[tuple[Path, str]], library: bool, installed: bool, size: int, share: float,
            target: Path | None = None) -> None:
        super().__init__()
        self.folders, self.library, self.installed, self.size, self.share = folders, library, installed, size, share
        self.target = target

    def origins(self) -> Iterator[Origin]:
        for path, licence in self.folders:
            yield folder(path, licence)
        if self.library:
            yield standard_library()
        if self.installed:
            yield from packages()
        if self.target:
            yield from packages(self.target)

    def run(self, data=None, rank: int = 0, world_size: int = 1):
        number = 0
        for origin in self.origins():
            if not permissive(origin.licence):
                self.stat_update("left out: licence", value=len(origin.files))
                continue
            for inside, path in origin.files:
                if int(name(f"{origin.name}/{inside}")[:8], 16) >= self.share * 2**32:
                    continue  # the same sample of files on every machine
                number += 1
                if number % world_size != rank:
                    continue
                try:
                    text = without_notices(path.read_text(encoding="utf-8"))
                except (OSError, UnicodeDecodeError):
                    self.stat_update("left out: unreadable")
                    continue
                for i, piece in enumerate(pieces(text, self.size)):
                    if not 120 <= len(piece) <= 4 * self.size or not piece.isascii():
                        self.stat_update("left out: size or alphabet")
                        continue
                    yield Document(
                        text=piece, id=name(piece),
                        metadata={"origin": origin.name, "licence": origin.licence, "path": f"{inside}#{i}"})


def streamed(data_set: str, column: str, licence_column: str, limit: int) -> PipelineStep:
    """Stream the documents of a data set on the Hugging Face hub; needs a network and the package `datasets`."""
    from datatrove.pipeline.readers import HuggingFaceDatasetReader

    def adapt(self, row, path, number):
        return {
            "text": row[column], "id": name(row[column]),
            "metadata": {"origin": data_set, "licence": str(row.get(licence_column, "")), "path": f"{path}/{number}"}}
    return HuggingFaceDatasetReader(
        data_set, dataset_options={"split": "train"}, streaming=True, limit=limit or -1, adapter=adapt, text_key=column)
