"""Collection of Python files from folders, the standard library, installed packages or a Hugging Face data set.

Each document states its origin and licence; files without a permissive licence are skipped and counted.
"""
from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from ..regular import read_file
from .steps import name, told

PERMISSIVE = re.compile(
    r"\b(mit|bsd|apache|psf|python software foundation|isc|unlicense|zlib|hpnd|0bsd)\b", re.IGNORECASE)
RESTRICTED = re.compile(
    r"gpl|gnu|mozilla|mpl|proprietary|eupl|nvidia|commercial|creative|commons|cc[- ]by|sspl|busl|elastic|cddl|epl|osl",
    re.IGNORECASE)
IN_FILE = re.compile(
    r"SPDX-License-Identifier:[ \t]*(.+)|(GNU (?:Lesser |Library |Affero )?General Public License)", re.IGNORECASE)
"""A file's own statement of its licence, among its first lines."""
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


def permissive_file(source: str) -> bool:
    """Return whether a file states no licence of its own, or a permissive one."""
    return all(permissive(m[1] or m[2]) for m in IN_FILE.finditer(source[:4000]))


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
        yield from told(self._documents(rank, world_size), "pieces", rank)

    def _documents(self, rank: int, world_size: int) -> Iterator[Document]:
        number = 0
        for origin in self.origins():
            if not permissive(origin.licence):
                if origin.files:
                    self.stat_update("left out: licence", value=len(origin.files) * (rank == 0))
                continue
            for inside, path in origin.files:
                if int(name(f"{origin.name}/{inside}")[:8], 16) >= self.share * 2**32:
                    continue  # the same sample of files on every machine
                number += 1
                if number % world_size != rank:
                    continue
                try:
                    text = read_file(path)
                    if not permissive_file(text):
                        raise ValueError("licence in the file")
                except ValueError as reason:
                    self.stat_update(f"left out: {reason}")
                    continue
                for i, piece in enumerate(pieces(without_notices(text), self.size)):
                    if not piece.isascii():
                        self.stat_update("left out: piece that is not ASCII")
                        continue
                    if not 120 <= len(piece) <= 4 * self.size:
                        self.stat_update("left out: piece too short or too long")
                        continue
                    yield Document(
                        text=piece, id=name(piece),
                        metadata={"origin": origin.name, "licence": origin.licence, "path": f"{inside}#{i}"})


class Permissive(PipelineStep):
    """A pipeline step that keeps the documents whose `licence` is permissive, and counts the others."""

    name, type = "permissive", "FILTER"

    def run(self, data=None, rank: int = 0, world_size: int = 1):
        for document in told(data or (), "rows", rank):
            if not permissive(document.metadata["licence"]):
                self.stat_update("left out: licence")
            elif not permissive_file(document.text):
                self.stat_update("left out: licence in the file")
            else:
                yield document


def row_licence(value: object) -> str:
    """Return a row's licence; several are joined, so that all have to be permissive."""
    return " AND ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value or "")


def streamed(data_set: str, column: str, licence_column: str, limit: int) -> list[PipelineStep]:
    """Return the steps that stream the documents of a data set on the Hugging Face hub; they need a network and the
    package `datasets`."""
    if importlib.util.find_spec("datasets") is None:
        raise ValueError("--data-set needs the package datasets: pip install './Tools[hub]'")
    from datatrove.pipeline.readers import HuggingFaceDatasetReader

    def adapt(self, row, path, number):
        return {
            "text": row[column], "id": name(row[column]),
            "metadata": {
                "origin": data_set, "licence": row_licence(row.get(licence_column)), "path": f"{path}/{number}"}}
    return [
        HuggingFaceDatasetReader(
            data_set, dataset_options={"split": "train"}, streaming=True, limit=limit or -1, adapter=adapt,
            text_key=column),
        Permissive()]
