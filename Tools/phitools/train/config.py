"""The configuration of a run: a TOML file, every key of which is a field here. An unknown key, a missing one or a wrong
type is refused by name."""
from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
"""The folder of this package's configurations."""


@dataclass
class Model:
    """The shape of a phi; the tokenizer determines the vocabulary."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    positions: int
    rotary: float = 0.5
    """Share of a head's dimensions with rotary embedding."""
    rows: int = 0
    """Rows of embedding and head; 0: one per token (phi-1 pads its 50,295 to 51,200)."""


@dataclass
class Data:
    tokenizer: str
    train: list[str]
    """Packed folders (`phitools.data pack`), read as one stream."""
    validation: dict[str, str] = field(default_factory=dict)
    """Name to packed folder."""
    validation_tokens: int = 65536
    """Maximum number of tokens from each validation set."""
    verify: bool = True
    """Whether to check every shard's hash at the start."""


@dataclass
class Batch:
    sequences: int
    """Sequences per step, over all processes and accumulations."""
    context: int
    """Tokens per sequence."""
    micro: int = 0
    """Sequences per forward pass of a process; 0: its whole share."""


@dataclass
class Schedule:
    steps: int
    peak: float
    warmup: int
    """Steps of linear warm-up to the peak; the rate then falls linearly to 0 at the end."""


@dataclass
class Optimizer:
    decay: float = 0.1
    """Weight decay of matrices; norms and biases have none."""
    beta1: float = 0.9
    beta2: float = 0.98
    epsilon: float = 1e-8
    muon: float = 0.0
    """Peak rate of Muon for the blocks' matrices, with AdamW and schedule.peak for the others; 0: AdamW for all."""
    clip: float = 1.0
    """Maximum norm of the whole gradient; 0: unlimited."""


@dataclass(frozen=True)
class Dropout:
    """The dropout rates."""

    attention: float = 0.0
    residual: float = 0.0
    embedding: float = 0.0


@dataclass
class Run:
    out: str
    mode: str = "pretrain"
    """"pretrain" starts from random weights, "finetune" from `init`."""
    init: str = ""
    """A checkpoint in Hugging Face layout."""
    seed: int = 1
    threads: int = 0
    """PyTorch threads; 0: PyTorch's default."""
    device: str = "auto"
    """"auto", "cpu", "cuda"."""
    precision: str = "float32"
    """"float32" or "bfloat16" (autocast; weights and optimizer stay float32)."""
    compile: bool = False
    strategy: str = "ddp"
    """For several processes: "ddp" or "fsdp"."""
    checkpoint_every: int = 200
    keep: int = 2
    """Number of checkpoints kept besides the last."""
    validate_every: int = 200
    prompts: list[str] = field(default_factory=list)
    """Prompts completed greedily at each validation; samples.jsonl receives the completions."""


@dataclass
class Config:
    model: Model
    data: Data
    batch: Batch
    schedule: Schedule
    run: Run
    optimizer: Optimizer = field(default_factory=Optimizer)
    dropout: Dropout = field(default_factory=Dropout)

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def _build(kind: type, table: dict[str, Any], where: str) -> Any:
    hints = get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for key in table:
        if key not in fields:
            raise ValueError(f"{where}{key}: no such key; known keys: {', '.join(fields)}")
    values: dict[str, Any] = {}
    for name, f in fields.items():
        if name not in table:
            if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
                raise ValueError(f"{where}{name} is missing")
            continue
        value, hint = table[name], hints[name]
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, dict):
                raise ValueError(f"{where}{name} must be a table")
            value = _build(hint, value, f"{where}{name}.")
        elif hint is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        elif type(value) is not (getattr(hint, "__origin__", None) or hint):
            raise ValueError(f"{where}{name} = {value!r} must be of type {getattr(hint, '__name__', hint)}")
        values[name] = value
    return kind(**values)


def check(c: Config) -> Config:
    """Returns the configuration; ValueError if it cannot be run."""
    def need(condition: bool, why: str) -> None:
        if not condition:
            raise ValueError(why)
    need(c.model.hidden % c.model.heads == 0, "model.hidden must be a multiple of model.heads")
    need(c.batch.context <= c.model.positions, "batch.context exceeds model.positions")
    need(
        min(c.batch.sequences, c.batch.context, c.model.layers, c.schedule.steps) > 0,
        "batch, layers and steps must be positive")
    need(0 <= c.schedule.warmup <= c.schedule.steps, "schedule.warmup must be between 0 and schedule.steps")
    need(c.run.mode in ("pretrain", "finetune"), "run.mode must be pretrain or finetune")
    need((c.run.mode == "finetune") == bool(c.run.init), "run.init requires run.mode = finetune and vice versa")
    need(c.run.precision in ("float32", "bfloat16"), "run.precision must be float32 or bfloat16")
    need(c.run.strategy in ("ddp", "fsdp"), "run.strategy must be ddp or fsdp")
    need(
        c.run.checkpoint_every > 0 and c.run.validate_every > 0 and c.run.keep >= 0,
        "run.checkpoint_every and run.validate_every must be positive")
    need(c.optimizer.muon >= 0, "optimizer.muon must not be negative")
    need(bool(c.data.train), "data.train names no folder")
    return c


def load(path: Path, overrides: list[str]) -> Config:
    """Read a file, or this package's of that name, applying overrides "table.key=VALUE" with VALUE in TOML syntax (a
    bare word is a string)."""
    if not path.exists() and (CONFIGS / path).exists():
        path = CONFIGS / path
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: {error}") from None
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise ValueError(f"{override}: expected table.key=VALUE")
        try:
            value = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            value = text
        *parents, last = key.split(".")
        inner = table
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    try:
        return check(_build(Config, table, ""))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
