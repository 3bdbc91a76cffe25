"""Encode documents and write token shards; `packed.py` reads them."""
from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from ..durable import write_folder
from ..packed import sha256
from . import bpe


def batches(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    iterator = iter(texts)
    while part := list(islice(iterator, size)):
        yield part


def pack(texts: Iterable[str], tokenizer_folder: Path, out: Path, tokens_per_shard: int = 1 << 27, most: int = 0) -> dict[str, int]:
    """Join documents by `<|endoftext|>` into shards of at most `tokens_per_shard`; stop after `most` tokens (0: never). Documents and tokens."""
    tokenizer: Tokenizer = bpe.load(tokenizer_folder)
    end = bpe.end_of_text(tokenizer)
    if tokenizer.get_vocab_size() > 1 << 16:
        raise ValueError(f"{tokenizer_folder}: {tokenizer.get_vocab_size()} tokens do not fit 16 bits")
    totals = {"documents": 0, "tokens": 0}

    def fill(folder: Path) -> None:
        shards, parts, size = [], [], 0

        def flush() -> None:
            nonlocal parts, size
            path = folder / f"tokens-{len(shards):05d}.bin"
            np.concatenate(parts or [np.empty(0, "<u2")]).astype("<u2").tofile(path)
            shards.append({"name": path.name, "tokens": size, "sha256": sha256(path)})
            parts, size = [], 0
        for batch in batches(texts, 1024):
            for encoding in tokenizer.encode_batch(batch):
                ids = np.array([*encoding.ids, end], dtype="<u2")
                parts.append(ids)
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
        manifest = {"step": "pack", "shards": shards, **totals, "tokenizer_sha256": sha256(tokenizer_folder / "tokenizer.json")}
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    write_folder(out, fill)
    return totals
