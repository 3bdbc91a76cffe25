"""The examples of a fine-tuning: prompts with completions, or plain texts, from a file or a folder of files.

A `.jsonl` file has an object on each line, with `prompt` and `completion`, or with `text`. `.txt`, `.md` and `.py`
files are a text each. Of a folder that a step of `phitools.data` made only its documents are read.
"""
from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..regular import read_file

TEXTS = {".txt", ".md", ".py"}
KNOWN = TEXTS | {".jsonl"}
LARGEST = 1 << 33


@dataclass(frozen=True)
class Example:
    """A completion, which is learned, and the prompt before it, which isn't; a plain text has an empty prompt."""

    prompt: str
    completion: str


def _lines(path: Path, text: str) -> Iterator[Example]:
    for number, line in enumerate(text.split("\n"), 1):  # only that ends a line of JSON Lines: strings may hold U+2028
        if not line.strip():
            continue
        try:
            d = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}, line {number}: not JSON ({error})") from None
        keys = ("prompt", "completion") if isinstance(d, dict) and "prompt" in d else ("text",)
        if not isinstance(d, dict) or not all(isinstance(d.get(k), str) for k in keys):
            raise ValueError(f"{path}, line {number}: needs the strings prompt and completion, or text")
        try:
            "".join(d[k] for k in (*keys, "completion") if k in d).encode()
        except UnicodeEncodeError:
            raise ValueError(f"{path}, line {number}: has half of a surrogate pair, which is no text") from None
        yield Example(d["prompt"], d["completion"]) if "prompt" in d else Example("", d["text"])


def _is_step(folder: Path) -> bool:
    """Whether a folder is a step's; ValueError for one that has not finished."""
    try:
        manifest = json.loads(read_file(folder / "manifest.json"))
    except ValueError:  # none, or none of a step
        manifest = None
    if isinstance(manifest, dict) and "step" in manifest:
        return True
    if any((folder / "logs" / name).exists() for name in ("begun.json", "failed.json")):
        raise ValueError(f"{folder}: is of a step that has not finished; start that step again, or choose other data")
    return False


def _documents(folder: Path) -> list[Path]:
    """Return the files of a step's documents, which are as its manifest says."""
    try:
        from ..data.steps import verify
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{folder}: is a step's folder, which is checked by the extra `data` ({error.name} is missing); "
            f"install that, or give {folder / 'documents'}") from None
    verify(folder)
    return sorted((folder / "documents").glob("*.jsonl"))


def _within(folder: Path, out: Path | None) -> Iterator[Path]:
    """Yield a folder's files: of steps their documents, and none of the run's own folder."""
    if _is_step(folder):
        yield from _documents(folder)
        return
    for path in sorted(folder.iterdir()):
        if not path.is_dir():
            yield path
        elif not path.is_symlink() and path.resolve() != out:
            yield from _within(path, out)


def _files(path: Path, out: Path | None) -> Iterator[Path]:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    for folder in path.resolve().parents:
        _is_step(folder)  # which refuses an unfinished one, such as its logs/answers
    if not path.is_dir():
        yield path
        return
    if path.resolve() == out:
        raise ValueError(f"{path}: is the folder of --out too, which would mix both; choose another --out")
    if _is_step(path) and not (path / "documents").is_dir():
        raise ValueError(f"{path}: is the folder of a step without documents; give that of the texts")
    yield from _within(path, out)


def read(path: Path, out: Path | None = None) -> tuple[list[Example], dict[str, int]]:
    """Return the distinct examples, and how many were left out for which reason; ValueError names a bad line. Nothing
    is read from the folder `out`, in which a run writes."""
    found: dict[Example, None] = {}
    left: dict[str, int] = {}

    def leave(reason: str) -> None:
        left[reason] = left.get(reason, 0) + 1
    for file in _files(path, out.resolve() if out else None):
        is_jsonl, given = file.suffix.lower() == ".jsonl", file == path
        if file.suffix.lower() not in KNOWN:
            if given:
                raise ValueError(f"{file}: is to be .jsonl, {', '.join(sorted(TEXTS))}, or a folder of such files")
            leave("of another kind of file")
            continue
        try:
            text = read_file(file.resolve() if given else file, *([LARGEST] if is_jsonl else []))
        except ValueError as reason:
            if given:
                raise ValueError(f"{path}: {reason}") from None
            leave(str(reason))
            continue
        for example in _lines(file, text) if is_jsonl else [Example("", text.replace("\r\n", "\n"))]:
            if not example.completion.strip():
                leave("empty")
            elif example in found:
                leave("duplicate")
            else:
                found[example] = None
    if len(found) < 2:
        raise ValueError(f"{path}: {len(found)} examples are too few; two are needed, one of them for validation")
    return list(found), left


def split(examples: list[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Return shuffled training and validation examples, at least one of each."""
    order = list(examples)
    random.Random(seed).shuffle(order)
    held = min(len(order) - 1, max(1, round(share * len(order))))
    return order[held:], order[:held]
