"""What is refused before a run begins: options that cannot be trained with, and a folder that is not the run's own."""
from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tokenizers import Tokenizer

from ..packed import Sampler, Stream, sha256
from . import base, checkpoint, lora, processes
from .config import Config
from .record import CURVE, LOG, SAMPLES, begun
from .report import check as check_report

BEST, FINAL = "best", "final"
OTHER_RUN = "{}: belongs to a run of another configuration or other data; choose another run.out or remove it"


def identity(c: Config, tokenizer: str, tokens: str) -> str:
    """The settings that must be the same for a checkpoint to continue: all that affect the curve. The number of
    processes and the strategy may change; with dropout, the masks then do."""
    found = c.as_dict()
    for key in (
            "out", "threads", "checkpoint_every", "keep", "validate_every", "prompts", "device", "strategy", "report",
            "sharded"):
        found["run"].pop(key)
    found["data"] = {"tokenizer": tokenizer, "tokens": tokens}
    if c.lora.rank:  # which goes on from the base, too
        found["run"]["init"] = [sha256(path) for path in base.weight_files(Path(c.run.init))]
    found["batch"].pop("micro")
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def _check_replaced(c: Config, resumes: bool) -> None:
    """Raise ValueError if the run would replace what it starts from, or what no run has made."""
    out = Path(c.run.out)
    init = Path(c.run.init).resolve() if c.run.init else None
    for folder in (out / BEST, out / FINAL, out / "checkpoints"):
        if init and folder.resolve() in (init, *init.parents):
            raise ValueError(f"{c.run.init}: is in {folder}, which the run writes; choose another run.out")
    own = resumes or begun(out)  # begun and killed before its first checkpoint
    for name in (BEST, FINAL) if own else (BEST, FINAL, "checkpoints", LOG, SAMPLES, CURVE):
        if held := _held(out / name) - (checkpoint.KNOWN if own else set()):
            raise ValueError(
                f"{out / name}: would be replaced, but holds what this run has not made "
                f"({', '.join(sorted(held))[:200]}); move that, or choose another run.out")


def _held(path: Path) -> set[str]:
    """Return the names of a folder's files, or that of a file that is not empty."""
    if path.is_dir():
        return {p.name for p in path.iterdir()}
    return {path.name} if path.is_file() and path.stat().st_size else set()


def check_options(c: Config, p: processes.Processes) -> None:
    """Raise ValueError for what these processes cannot train, whatever the data."""
    if c.batch.sequences % p.world:
        raise ValueError(f"batch.sequences = {c.batch.sequences} can't be divided among {p.world} processes")
    if c.optimizer.muon and p.world > 1 and c.run.strategy == "fsdp":
        raise ValueError("optimizer.muon needs whole matrices: use run.strategy = ddp, or optimizer.muon = 0")
    share = c.batch.sequences // p.world
    if share % (c.batch.micro or share):
        raise ValueError(f"batch.micro = {c.batch.micro} does not divide the {share} sequences of a process")
    check_report(c.run.report)


def check_run(
        c: Config, tokenizer: Tokenizer, digest: str, stream: Stream, validation: dict[str, Stream]
) -> tuple[Sampler, list[Path]]:
    """Return the batches of a run and its checkpoints, with nothing written; ValueError for what cannot be trained so,
    and for a folder that is another run's or holds what is no run's. `digest` is the hash of the tokenizer's file."""
    for name, held in validation.items():
        if held.rows and held.rows != c.batch.context:
            raise ValueError(
                f"{c.data.validation[name]}: packed in rows of {held.rows} tokens, which batch.context = "
                f"{c.batch.context} must be")
        if len(held) < 2:
            raise ValueError(f"{c.data.validation[name]}: {len(held)} tokens, too few to predict one")
    sampler = Sampler(stream, c.batch.context, c.batch.sequences, c.run.seed)
    for prompt in c.run.prompts:
        if not tokenizer.encode(prompt).ids:
            raise ValueError(f"a prompt, {prompt!r}, has no tokens to complete")
    existing = checkpoint.checkpoints(Path(c.run.out))
    _check_replaced(c, bool(existing))
    if existing and (
            lora.is_adapter(existing[-1]) != bool(c.lora.rank)
            or checkpoint.read_identity(existing[-1]) != identity(c, digest, stream.digest)):
        raise ValueError(OTHER_RUN.format(existing[-1]))
    return sampler, existing
