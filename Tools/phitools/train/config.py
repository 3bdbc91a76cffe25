"""The configuration of a run: a TOML file, every key of which is a field here. An unknown key, a missing one or a wrong
type is refused by name."""
from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from .lora import MODULES

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
"""The folder of this package's configurations."""


@dataclass
class Model:
    """The shape of a phi; the tokenizer determines the vocabulary. Sizes that are not given are those of `run.init`."""

    hidden: int = 0
    layers: int = 0
    """May be several times those of `run.init`: blocks are added that change nothing at first."""
    heads: int = 0
    intermediate: int = 0
    positions: int = 0
    rotary: float = 0.5
    """Share of a head's dimensions with rotary embedding."""
    rows: int = 0
    """Rows of embedding and head; 0: one per token (phi-1 pads its 50,295 to 51,200)."""


@dataclass
class Data:
    train: list[str]
    """Packed folders (`phitools.data pack`), read as one stream."""
    tokenizer: str = ""
    """Without it, the tokenizer of `run.init`."""
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
    separate: bool = False
    """Whether attention stays within a document."""


@dataclass
class Schedule:
    steps: int
    peak: float
    warmup: int
    """Steps of linear warm-up to the peak."""
    kind: str = "linear"
    """How the rate falls from there: "linear", "cosine", or "wsd" (it stays, and falls linearly at the end)."""
    decay: float = 0.2
    """The share of the steps in which the rate of "wsd" falls."""
    floor: float = 0.0
    """The share of the peak to which the rate falls."""


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
class Lora:
    """Updates of low rank, trained instead of the weights of `run.init`."""

    rank: int = 0
    """0: all weights are trained."""
    alpha: float = 16.0
    targets: list[str] = field(default_factory=lambda: list(MODULES))
    base: str = ""
    """What adapter_config.json calls the base, such as its id on the hub; otherwise run.init."""


@dataclass
class Run:
    out: str
    mode: str = "pretrain"
    """"pretrain" starts from random weights, "finetune" from `init`."""
    init: str = ""
    """A checkpoint of phi in Hugging Face layout."""
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
    sharded: bool = False
    """Whether each process of "fsdp" writes its own part of a checkpoint."""
    checkpoint_every: int = 200
    keep: int = 2
    """Number of checkpoints kept besides the last."""
    validate_every: int = 200
    prompts: list[str] = field(default_factory=list)
    """Prompts completed greedily at each validation; samples.jsonl receives the completions."""
    best: str = ""
    """The validation set whose lowest loss tells the checkpoint kept in the folder `best`."""
    report: str = ""
    """"tensorboard" or "trackio": where the curve is shown besides log.jsonl."""


@dataclass
class Config:
    data: Data
    batch: Batch
    schedule: Schedule
    run: Run
    model: Model = field(default_factory=Model)
    lora: Lora = field(default_factory=Lora)
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
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            if type(item) is not hint.__args__[-1]:
                raise ValueError(f"{where}{name} = {value!r} must be of type {hint}")
        values[name] = value
    return kind(**values)


def check(c: Config) -> Config:
    """Returns the configuration; ValueError if it cannot be run."""
    def need(condition: bool, why: str) -> None:
        if not condition:
            raise ValueError(why)
    for table, values in c.as_dict().items():
        for key, value in values.items():
            if isinstance(value, (int, float)):
                need(0 <= value < float("inf"), f"{table}.{key} must not be negative or infinite")
                need(isinstance(value, float) or value < 1 << 31, f"{table}.{key} = {value} is too large")
    m = c.model
    for key in ("hidden", "layers", "heads", "intermediate", "positions") if not c.run.init else ():
        need(getattr(m, key) > 0, f"model.{key} is missing or 0")
    need(not m.heads or m.hidden % m.heads == 0, "model.hidden must be a multiple of model.heads")
    need(not m.positions or c.batch.context <= m.positions, "batch.context exceeds model.positions")
    need(bool(c.run.out), "run.out is missing")
    need(min(c.batch.sequences, c.batch.context, c.schedule.steps) > 0, "batch and steps must be positive")
    for table, key in (("dropout", "attention"), ("dropout", "residual"), ("dropout", "embedding"),
                       ("optimizer", "beta1"), ("optimizer", "beta2")):
        need(getattr(getattr(c, table), key) < 1, f"{table}.{key} must be less than 1")
    for key in ("decay", "floor"):
        need(getattr(c.schedule, key) <= 1, f"schedule.{key} must be at most 1")
    need(m.rotary <= 1, "model.rotary must be at most 1")
    need(c.schedule.kind in ("linear", "cosine", "wsd"), "schedule.kind must be linear, cosine or wsd")
    need(0 <= c.schedule.warmup <= c.schedule.steps, "schedule.warmup must be between 0 and schedule.steps")
    need(c.run.mode in ("pretrain", "finetune"), "run.mode must be pretrain or finetune")
    need((c.run.mode == "finetune") == bool(c.run.init), "run.init requires run.mode = finetune and vice versa")
    need(c.run.precision in ("float32", "bfloat16"), "run.precision must be float32 or bfloat16")
    need(c.run.strategy in ("ddp", "fsdp"), "run.strategy must be ddp or fsdp")
    need(not c.run.sharded or c.run.strategy == "fsdp", "run.sharded needs run.strategy = fsdp")
    need(not (c.run.sharded and c.lora.rank), "run.sharded is for whole weights: not with lora.rank")
    need(c.run.device in ("auto", "cpu", "cuda"), "run.device must be auto, cpu or cuda")
    need(c.run.report in ("", "tensorboard", "trackio"), "run.report must be tensorboard or trackio")
    need(not c.run.best or c.run.best in c.data.validation, f"run.best = {c.run.best} is no set of data.validation")
    need(
        c.run.checkpoint_every > 0 and c.run.validate_every > 0,
        "run.checkpoint_every and run.validate_every must be positive")
    need(bool(c.data.tokenizer or c.run.init), "data.tokenizer is missing")
    if c.lora.rank:
        need(bool(c.run.init), "lora.rank needs run.init")
        need(c.lora.alpha > 0, "lora.alpha must be positive: with 0 nothing is learned")
        need(c.optimizer.muon == 0, "optimizer.muon is for whole weights: use lora.rank or optimizer.muon")
        need(c.dropout.residual == 0, "dropout.residual must be 0 with lora.rank")
        unknown = sorted(set(c.lora.targets) - set(MODULES))
        need(bool(c.lora.targets) and not unknown, f"lora.targets {unknown}: known ones are {', '.join(MODULES)}")
    need(bool(c.data.train), "data.train names no folder")
    return c


def load(path: Path, overrides: list[str]) -> Config:
    """Read a file, or this package's of that name, applying overrides "table.key=VALUE" with VALUE in TOML syntax (a
    bare word is a string)."""
    if not path.exists() and (CONFIGS / path).exists():
        path = CONFIGS / path
    try:
        return build(tomllib.loads(path.read_text(encoding="utf-8")), overrides)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def build(table: dict[str, Any], overrides: list[str]) -> Config:
    """Return the configuration of TOML's tables and overrides."""
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
            if not isinstance(inner, dict):
                raise ValueError(f"{key}: {parent} is no table")
        inner[last] = value
    return check(_build(Config, table, ""))
