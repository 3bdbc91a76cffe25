"""Packing of examples into rows of one length, which no example crosses."""
from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ..durable import check_free, write_folder
from ..packed import Stream, sha256
from .examples import Example

STEP = "finetune"
OPEN = 64
"""Rows that are tried for an example before a new one is begun."""
Coded = list[tuple[int, bool]]
"""Tokens, and whether each is a target."""


def encode(example: Example, tokenizer: Tokenizer, end: int) -> Coded:
    """Return an example's tokens. The prompt is encoded alone, as it will be when it is completed."""
    prompt = tokenizer.encode(example.prompt).ids if example.prompt else []
    completion = [*tokenizer.encode(example.completion).ids, end]
    return [(i, False) for i in prompt] + [(i, bool(prompt) or place > 0) for place, i in enumerate(completion)]


def pieces(example: Example, coded: Coded, length: int) -> list[Coded]:
    """Return an example in pieces of at most `length` tokens; none if it has a prompt and is longer."""
    if len(coded) <= length:
        return [coded]
    if example.prompt:
        return []
    parts = [coded[i:i + length] for i in range(0, len(coded), length)]
    return [[(part[0][0], False), *part[1:]] for part in parts]


def rows(parts: list[Coded], length: int, end: int) -> list[Coded]:
    """Put each part into the first of the open rows that has room, and fill up with ends of text."""
    full: list[Coded] = []
    begun: list[Coded] = []
    for part in parts:
        row = next((r for r in begun if len(r) + len(part) <= length), None)
        if row is None:
            begun.append(row := [])
        row.extend(part)
        if len(row) == length or len(begun) > OPEN:
            chosen = row if len(row) == length else begun[0]
            begun = [r for r in begun if r is not chosen]
            full.append(chosen)
    return [row + [(end, False)] * (length - len(row)) for row in full + begun]


@dataclass(frozen=True)
class Packed:
    """Rows of examples in memory."""

    ids: np.ndarray
    marks: np.ndarray
    """1 for each target, 0 for every other token."""
    length: int
    """The number of tokens in a row."""
    documents: int
    totals: dict[str, int]
    """The numbers of rows, tokens that aren't filling, targets, and examples left out because they are too long."""

    @property
    def stream(self) -> Stream:
        """What `open_stream` returns of the folder that `write` makes."""
        digests = "".join(hashlib.sha256(part).hexdigest() for part in (self.ids, self.marks))
        return Stream(
            [self.ids], np.array([0, len(self.ids)]), [self.marks], hashlib.sha256(digests.encode()).hexdigest(),
            self.length)

    def write(self, tokenizer_file: Path, out: Path) -> None:
        """Write a packed folder; ValueError if `out` is something else's."""
        check_free(out, STEP)

        def fill(folder: Path) -> None:
            self.ids.tofile(folder / "tokens-00000.bin")
            self.marks.tofile(folder / "targets-00000.bin")
            shard: dict[str, Any] = {
                "name": "tokens-00000.bin", "tokens": len(self.ids), "sha256": sha256(folder / "tokens-00000.bin"),
                "targets": {"name": "targets-00000.bin", "sha256": sha256(folder / "targets-00000.bin")}}
            (folder / "manifest.json").write_text(json.dumps({
                "step": STEP, "shards": [shard], "documents": self.documents, "tokens": len(self.ids),
                "rows": self.length, "tokenizer_sha256": sha256(tokenizer_file)}, indent=1) + "\n", encoding="utf-8")
        write_folder(out, fill)


def pack(examples: dict[Example, Coded], end: int, length: int) -> Packed:
    """Pack examples, given with their tokens; ValueError if nothing is left."""
    cut = [pieces(e, coded, length) for e, coded in examples.items()]
    made = rows([part for parts in cut for part in parts], length, end)
    if not made:
        raise ValueError(f"all {len(examples)} examples are longer than {length} tokens")
    ids = np.array([i for row in made for i, _ in row], "<u2")
    marks = np.array([m for row in made for _, m in row], "u1")
    return Packed(ids, marks, length, len(examples), {
        "rows": len(made), "tokens": sum(len(part) for parts in cut for part in parts), "targets": int(marks.sum()),
        "too long": sum(not parts for parts in cut)})
