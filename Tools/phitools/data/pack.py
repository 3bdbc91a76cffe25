"""Encoding of documents into token shards; `packed.py` reads them.

With `solutions`, the targets of a document are the tokens after the docstring of its first function, the part that a
user asks for; tokens before are context only. A prompt ends at the closing quotes, so the line break after them counts:
evaluation strips it (bigcode's protocol for HumanEval).
"""
from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from datatrove.data import Document
from tokenizers import Tokenizer

from ..durable import write_folder
from ..packed import sha256
from . import bpe


def batches(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    iterator = iter(texts)
    while part := list(islice(iterator, size)):
        yield part


def limited(documents: list[Document], most: int) -> list[Document]:
    """Return the documents without what exceeds `most` exercises of one task of the tables (0: any number)."""
    found: Counter[str] = Counter()
    kept = []
    for document in documents:
        task = document.metadata.get("task")
        if task is not None and most:
            found[task] += 1
            if found[task] > most:
                continue
        kept.append(document)
    return kept


def solution_start(text: str) -> int:
    """Return the offset in characters after the first function's docstring; 0 without one, or if the text does not
    parse."""
    if "\r" in text.replace("\r\n", "\n"):
        return 0  # Python ends a line there too, so positions would differ
    try:
        functions = [
            n for n in ast.parse(text).body if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))
            and ast.get_docstring(n, clean=False) is not None]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return 0
    if not functions:
        return 0
    end = functions[0].body[0]
    before = text.split("\n")[:end.end_lineno]
    return sum(len(line) + 1 for line in before[:-1]) + len(before[-1].encode()[:end.end_col_offset].decode())


def pack(
        texts: Iterable[str], tokenizer_folder: Path, out: Path, tokens_per_shard: int = 1 << 27, most: int = 0,
        solutions: bool = False, starts: list[int | None] | None = None,
        more: dict[str, Any] | None = None) -> dict[str, int]:
    """Write documents, each ended by `<|endoftext|>`, to shards of about `tokens_per_shard` tokens; stop after `most`
    tokens (0: never). `starts` are offsets in characters at which solutions begin, where known. `more` goes into the
    manifest. Return the numbers of documents and tokens."""
    tokenizer: Tokenizer = bpe.load(tokenizer_folder)
    tokenizer.encode_special_tokens = True  # a document that has `<|endoftext|>` in it has it as text
    end = bpe.end_of_text(tokenizer)
    if tokenizer.get_vocab_size() > 1 << 16:
        raise ValueError(f"{tokenizer_folder}: {tokenizer.get_vocab_size()} tokens do not fit 16 bits")
    totals = {"documents": 0, "tokens": 0}

    def fill(folder: Path) -> None:
        shards, parts, marks, size = [], [], [], 0

        def flush() -> None:
            nonlocal parts, marks, size
            path = folder / f"tokens-{len(shards):05d}.bin"
            np.concatenate(parts or [np.empty(0, "<u2")]).astype("<u2").tofile(path)
            shards.append({"name": path.name, "tokens": size, "sha256": sha256(path)})
            if solutions:
                beside = folder / f"targets-{len(shards) - 1:05d}.bin"
                np.concatenate(marks or [np.empty(0, "u1")]).tofile(beside)
                shards[-1]["targets"] = {"name": beside.name, "sha256": sha256(beside)}
            parts, marks, size = [], [], 0
        for batch in batches(texts, 1024):
            for text, encoding in zip(batch, tokenizer.encode_batch(batch)):
                ids = np.array([*encoding.ids, end], dtype="<u2")
                parts.append(ids)
                if solutions:
                    known = starts[totals["documents"]] if starts else None
                    start = solution_start(text) if known is None else known
                    marks.append(np.array([*(first >= start for first, _ in encoding.offsets), True], dtype="u1"))
                size += len(ids)
                totals["documents"] += 1
                totals["tokens"] += len(ids)
                if size >= tokens_per_shard:
                    flush()
                if most and totals["tokens"] >= most:
                    break
            if most and totals["tokens"] >= most:
                break
        if size or not shards:
            flush()
        manifest = {
            "step": "pack", "shards": shards, **totals,
            "tokenizer_sha256": sha256(tokenizer_folder / "tokenizer.json"), **(more or {})}
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    write_folder(out, fill)
    return totals
