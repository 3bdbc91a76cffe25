"""Packed token folders: `manifest.json` and `tokens-00000.bin`, ... with 16-bit little-endian ids, each document ended
by `<|endoftext|>`. If only some tokens are targets, `targets-00000.bin`, ... hold a byte per token (1: target, 0: not).
With `rows` in the manifest, every so many tokens are a row that no document crosses, as fine-tuning wants it.

`phitools.data pack` writes such folders, the trainer reads them. Needs numpy only.
"""
from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Stream:
    """A sequence of shards as one stream of ids."""

    shards: list[np.ndarray]
    starts: np.ndarray
    """The start of each shard, and the total length."""
    targets: list[np.ndarray]
    """Per shard, 1 for each target token and 0 for every other."""
    digest: str = ""
    """The hash of the shards' hashes."""
    rows: int = 0
    """The length of rows; 0: documents follow one another."""

    def __len__(self) -> int:
        return int(self.starts[-1])

    def span(self, start: int, length: int) -> np.ndarray:
        """Return ids[start : start + length] as int64, across shards, wrapping at the end."""
        return self._span(self.shards, start, length)

    def targets_of(self, start: int, length: int) -> np.ndarray:
        """Return the same span of `targets`."""
        return self._span(self.targets, start, length)

    def _span(self, shards: list[np.ndarray], start: int, length: int) -> np.ndarray:
        out, filled = np.empty(length, dtype=np.int64), 0
        while filled < length:
            position = (start + filled) % len(self)
            s = int(np.searchsorted(self.starts, position, side="right")) - 1
            inside = position - int(self.starts[s])
            part = shards[s][inside:inside + length - filled]
            out[filled:filled + len(part)] = part
            filled += len(part)
        return out


def sha256(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def open_stream(folders: list[Path], vocabulary_sha256: str, verify: bool) -> Stream:
    """Map the shards; raise ValueError for one that is missing, truncated, altered or of another tokenizer."""
    shards: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    digests: list[str] = []
    rows: set[int] = set()
    for folder in folders:
        manifest_path = folder / "manifest.json"
        try:
            manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
            listed = [
                (
                    s["name"], int(s["tokens"]), s["sha256"],
                    (s["targets"]["name"], s["targets"]["sha256"]) if "targets" in s else None)
                for s in manifest["shards"]]
            made_with = manifest["tokenizer_sha256"]
            rows.add(int(manifest.get("rows", 0)))
            digests += [d for _, _, digest, marks in listed for d in (digest, marks[1] if marks else "")]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{manifest_path}: not the manifest of a packed folder ({type(error).__name__}: {error})") from None
        if made_with != vocabulary_sha256:
            raise ValueError(f"{folder}: packed with another tokenizer")
        for name, tokens, digest, marks in listed:
            if tokens:
                shards.append(_map(folder / name, "<u2", tokens, digest, verify))
                # Without marks every token is a target: one byte, broadcast.
                targets.append(
                    _map(folder / marks[0], "u1", tokens, marks[1], verify) if marks
                    else np.broadcast_to(np.uint8(1), tokens))
    if not shards:
        raise ValueError(f"{', '.join(map(str, folders))}: no tokens")
    if len(rows) > 1:
        raise ValueError(f"{', '.join(map(str, folders))}: packed in rows of different lengths ({sorted(rows)})")
    whole = hashlib.sha256("".join(digests).encode()).hexdigest()
    return Stream(shards, np.cumsum([0] + [len(s) for s in shards]), targets, whole, rows.pop())


def _map(path: Path, kind: str, tokens: int, digest: str, verify: bool) -> np.ndarray:
    size = np.dtype(kind).itemsize * tokens
    if not path.is_file() or path.stat().st_size != size:
        raise ValueError(f"{path}: {path.stat().st_size if path.is_file() else 'no'} bytes instead of {size}")
    if verify and sha256(path) != digest:
        raise ValueError(f"{path}: its bytes do not match the manifest's hash")
    return np.memmap(path, dtype=kind, mode="r")


class Sampler:
    """The training sequences of each step, a function of seed and step, so that resuming needs no state.

    Each epoch cuts the stream into sequences at a new offset, or into its rows, and visits them in a new order.
    """

    def __init__(self, stream: Stream, context: int, sequences: int, seed: int) -> None:
        if stream.rows and stream.rows != context:
            raise ValueError(f"packed in rows of {stream.rows} tokens, which batch.context = {context} must be")
        if len(stream) <= context + 1 and not stream.rows:
            raise ValueError(f"{len(stream)} tokens are too few for a context of {context}")
        self.stream, self.context, self.sequences, self.seed = stream, context, sequences, seed
        self.per_epoch = (len(stream) - (not stream.rows)) // context
        self._epochs: dict[int, tuple[int, np.ndarray]] = {}

    def batch(self, step: int, first: int, count: int) -> np.ndarray:
        """Return `count` sequences of a step from `first`: [count, context + 1] ids, the last only a target."""
        return np.stack([self.stream.span(self._start(step, i), self.context + 1) for i in range(first, first + count)])

    def targets(self, step: int, first: int, count: int) -> np.ndarray:
        """Return the target marks of the same sequences, without their first tokens: [count, context] of 1 and 0."""
        return np.stack(
            [self.stream.targets_of(self._start(step, i) + 1, self.context) for i in range(first, first + count)])

    def _start(self, step: int, sequence: int) -> int:
        epoch, place = divmod(step * self.sequences + sequence, self.per_epoch)
        offset, order = self._epoch(epoch)
        return offset + int(order[place]) * self.context

    def _epoch(self, epoch: int) -> tuple[int, np.ndarray]:
        if epoch not in self._epochs:
            self._epochs = {e: v for e, v in self._epochs.items() if e == epoch - 1}  # a batch can straddle two
            r = np.random.default_rng([self.seed, epoch])
            offset = 0 if self.stream.rows else int(r.integers(self.context))
            self._epochs[epoch] = offset, r.permutation(self.per_epoch)
        return self._epochs[epoch]
