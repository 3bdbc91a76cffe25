"""Collection of Python files from folders, the standard library, installed packages or a Hugging Face data set.

Each document states its origin and licence; files without a permissive licence are skipped and counted.
"""
from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import re
import sysconfig
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from ..regular import read_file
from .steps import name, told, tree_digest

PERMISSIVE = re.compile(
    r"\b(mit|bsd|apache|psf|python software foundation|isc|unlicense|zlib|hpnd|0bsd|cc0|bsl-1\.0|cnri-python)\b",
    re.IGNORECASE)
RESTRICTED = re.compile(
    r"gpl|gnu|mozilla|mpl|proprietary|eupl|nvidia|commercial|creative|commons|cc[- ]by|sspl|busl|elastic|cddl|epl|osl",
    re.IGNORECASE)
SEVERAL = re.compile(r"\band\b|[;&]|,(?!\s*(?:version|v\.?\s*\d|\d|inc))", re.IGNORECASE)
"""What stands between licences that all apply."""
IN_FILE = re.compile(r"SPDX-License-Identifier:[ \t]*(.+)", re.IGNORECASE)
"""A file's own statement of its licence, among its first characters."""
HEAD = 4000
RESTRICTED_HEAD = re.compile(
    r"\b[al]?gpl(?![a-uw-z])|general public licen[cs]e|mozilla public|\beupl\b|european union public|\bcc[- ]by\b"
    r"|creative commons|common development and distribution|eclipse public|server side public|open software licen[cs]e"
    r"|business source licen[cs]e|elastic licen[cs]e|commons clause"
    r"|(?<!commercial and )(?<!commercial or )non-?commercial"
    r"|\b(?:mpl|cddl|epl|osl|sspl)[- ]?v?\d(?:\.|\b)|under (?:the )?(?:mpl|cddl|epl|osl|sspl)\b"
    r"|confidential and proprietary|proprietary (?:and confidential|software|code|information|licen[cs]e)"
    r"|(?:company|strictly) confidential|unauthori[sz]ed (?:copying|reproduction|distribution|use of this)",
    re.IGNORECASE)
"""Words of a file's head, with spaces between them, that say that its licence is not a permissive one."""
RESERVED = re.compile(r"all rights reserved", re.IGNORECASE)
PERMITTED = re.compile(
    r"permission (?:is|to)\b|redistribution and use|(?:is|are) permitted|see .{0,80}(?:licen[cs]e|redistribution)"
    r"|licen[cs]e(?: file|\.(?:md|rst|txt))|licensed to psf|same (?:licen[cs]e|terms) as python|can be redistributed"
    r"|(?:licen[cs]ed?|under|governed by)\b.{0,60}\b(?:mit|bsd|apache|psf|isc|unlicense|zlib|hpnd|0bsd)\b"
    r"|\b(?:mit|bsd|apache|psf|python software foundation|isc|unlicense|zlib|hpnd|0bsd)\b.{0,30}licen[cs]e",
    re.IGNORECASE)
"""What permits something although all rights are reserved, or names the licence of all files, which is known."""
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
        m.get("License-Expression") or " AND ".join(c for c in classifiers if c != "OSI Approved")
        or (field[0] if field else "")).strip()


def permissive(licence: str) -> bool:
    """Return whether a licence's name, or all of several, is known to be permissive."""
    return all(PERMISSIVE.search(part) for part in SEVERAL.split(licence)) and not RESTRICTED.search(licence)


def permissive_file(source: str) -> bool:
    """Return whether a file states no licence of its own, or a permissive one."""
    head = source[:HEAD]
    if not all(permissive(m[1]) for m in IN_FILE.finditer(head)):
        return False
    text = re.sub(r"[\s#*]+", " ", head)  # a sentence may go on in the next line of a comment
    if RESTRICTED_HEAD.search(text):
        return False
    return not RESERVED.search(text) or bool(PERMITTED.search(text) or IN_FILE.search(head))


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
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() == ".py")
    return Origin(path.name or path.resolve().name, licence, [(str(p.relative_to(path)), p) for p in found])


def with_licence(given: str) -> tuple[Path, str]:
    """Return the path and the licence of a --folder."""
    path, _, licence = given.rpartition(":") if ":" in given else (given, "", "unknown")
    return Path(path), licence


def identity(path: Path, licence: str) -> str:
    """Return what a folder is identified by: its name, licence and files."""
    origin = folder(path, licence)
    return f"{origin.name}:{licence}: {tree_digest(origin.files)}"


def installed(folder: Path | None = None) -> str:
    """Return a hash of the installed packages' names, versions and licences."""
    if folder and not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    found = sorted(f"{origin.name}: {origin.licence}, {len(origin.files)}" for origin in packages(folder))
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def _spans(source: str) -> tuple[set[int], set[int]]:
    """Return the numbers of the lines that begin within a statement (in brackets, say), and of those that hold a part
    of a string of several lines."""
    within, strings = set[int](), set[int]()
    first, opened = 0, list[int]()
    try:
        for t in tokenize.generate_tokens(io.StringIO(source).readline):
            kind = tokenize.tok_name[t.type]
            if kind == "FSTRING_START":  # from Python 3.12 on, an f-string is several tokens
                opened.append(t.start[0])
            begun = opened.pop() if kind == "FSTRING_END" else t.start[0]
            if kind in ("STRING", "FSTRING_END") and t.end[0] > begun:
                strings.update(range(begun, t.end[0] + 1))
            if kind == "NEWLINE":
                within.update(range(first + 1, t.start[0] + 1) if first else ())
                first = 0
            elif not first and kind not in ("NL", "COMMENT", "INDENT", "DEDENT", "ENDMARKER"):
                first = t.start[0]
    except (tokenize.TokenError, SyntaxError):
        pass  # of another Python, or no code: up to there
    return within, strings


def without_notices(source: str) -> str:
    """The text without comment blocks about licences and without trailing whitespace. Strings stay as they are."""
    source = re.sub(r"\r\n?", "\n", source)
    _, strings = _spans(source)
    out: list[str] = []
    block: list[str] = []
    blank = 0
    for number, line in enumerate([*source.split("\n"), ""], 1):
        if number in strings:
            kept = line
        elif '"' in line or "'" in line:  # a tab may be in a string
            indent = line[:len(line) - len(line.lstrip())]
            kept = indent.expandtabs(4) + line[len(indent):].rstrip()
        else:
            kept = line.expandtabs(4).rstrip()
        if kept.startswith("#") and number not in strings:
            block.append(kept)
            continue
        if block and not any(NOTICE.search(b) for b in block):
            out += block
            blank = 0
        block = []
        blank = blank + 1 if not kept and number not in strings else 0
        if blank <= 2:
            out.append(kept)
    return "\n".join(out).strip() + "\n"


def _chunks(source: str) -> Iterator[str]:
    """Yield the parts of a module between blank lines before a top-level statement."""
    within, _ = _spans(source)
    begun = line = 0
    counted = 0
    for m in re.finditer(r"\n\n+(?=\S)", source):
        line += source.count("\n", counted, m.end())
        counted = m.end()
        if line + 1 not in within and not re.match(r"(?:elif|else|except|finally)\b", source[m.end():m.end() + 8]):
            yield source[begun:m.start()]
            begun = m.end()
    yield source[begun:]


def pieces(source: str, size: int) -> Iterator[str]:
    """Cut a module at top-level statements into pieces of about `size` characters."""
    part = ""
    for chunk in _chunks(source):
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
