"""The examples of a fine-tuning: prompts with completions, or plain texts, from a file or a folder of files.

A `.jsonl` file has an object on each line, with `prompt` and `completion`, or with `text`. `.txt`, `.md` and `.py`
files are a text each.
"""
from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..regular import read_file

TEXTS = {".txt", ".md", ".py"}
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
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: not JSON ({error})") from None
        keys = ("prompt", "completion") if isinstance(d, dict) and "prompt" in d else ("text",)
        if not isinstance(d, dict) or not all(isinstance(d.get(k), str) for k in keys):
            raise ValueError(f"{path}, line {number}: needs the strings prompt and completion, or text")
        try:
            "".join(d[k] for k in (*keys, "completion") if k in d).encode()
        except UnicodeEncodeError:
            raise ValueError(f"{path}, line {number}: has half of a surrogate pair, which is no text") from None
        yield Example(d["prompt"], d["completion"]) if "prompt" in d else Example("", d["text"])


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if not path.is_dir():
        return [path]
    manifest = path / "manifest.json"
    if manifest.exists() and '"step"' in manifest.read_text(encoding="utf-8"):
        try:
            from ..data.steps import verify
        except ModuleNotFoundError as error:
            raise ValueError(
                f"{path}: is a step's folder, which is checked by the extra `data` ({error.name} is missing); "
                f"install that, or give {path / 'documents'}") from None
        verify(path)
    return [p for p in sorted(path.rglob("*")) if p.suffix in TEXTS | {".jsonl"} and not p.is_dir()]


def read(path: Path) -> tuple[list[Example], dict[str, int]]:
    """Return the distinct examples, and how many were left out for which reason; ValueError names a bad line."""
    found: dict[Example, None] = {}
    left: dict[str, int] = {}

    def leave(reason: str) -> None:
        left[reason] = left.get(reason, 0) + 1
    for file in _files(path):
        if file.suffix not in TEXTS | {".jsonl"}:
            raise ValueError(f"{file}: is to be .jsonl, {', '.join(sorted(TEXTS))}, or a folder of such files")
        is_jsonl, given = file.suffix == ".jsonl", file == path
        try:
            text = read_file(file.resolve() if given else file, *([LARGEST] if is_jsonl else []))
        except ValueError as reason:
            if given:
                raise ValueError(f"{path}: {reason}") from None
            leave(str(reason))
            continue
        for example in _lines(file, text) if is_jsonl else [Example("", text)]:
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
