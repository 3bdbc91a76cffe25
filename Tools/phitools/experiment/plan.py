"""The plan of the experiment: jobs for data sets, runs and scores, with their dependencies."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..exercises.heldout import FILE as HELD_OUT
from ..train.config import CONFIGS, load

ARMS = {"a": "unfiltered code", "b": "filtered code", "c": "filtered code and textbooks", "d": "c, then exercises"}
CONTROLS = {"a-long": "unfiltered code, as many tokens as d", "a-exercises": "a, then exercises"}
"""Controls, with the first seed only: for d's larger number of tokens, and for its pretraining data."""
KINDS = ("code", "filtered", "textbooks", "exercises")


@dataclass(frozen=True)
class Options:
    """The sizes of an experiment."""

    folder: Path
    phi: Path
    """The `phi` command, which converts and scores."""
    seeds: tuple[int, ...] = (1, 2, 3)
    share: float = 0.15
    """Share of the Python files found."""
    exercises: int = 72_000
    textbooks: int = 14_000
    vocabulary: int = 2048
    labelled: int = 4000
    benchmarks: tuple[Path, ...] = ()
    """HumanEval and MBPP, if available, for decontamination."""
    pretrain: tuple[str, ...] = ()
    """Overrides of configs/nano.toml."""
    finetune: tuple[str, ...] = ()
    """Overrides of configs/nano-finetune.toml."""
    packages: bool = True
    limit: int = 0
    """Number of held-out problems to score; 0: all."""
    tokenizer_characters: int = 3_000_000


@dataclass(frozen=True)
class Job:
    """A command whose completion creates `product`."""

    name: str
    product: Path
    needs: tuple[str, ...]
    command: Callable[[str], list[str]]
    """Returns the command line for a Python interpreter."""
    kind: str = "data"
    save_output: bool = False
    """Whether the product is the command's standard output."""


def _data(
        o: Options, step: str, name: str, needs: tuple[str, ...], *options: str, inputs: tuple[str, ...] = (),
        product: str = "manifest.json") -> Job:
    def command(python: str) -> list[str]:
        takes = ["--input", *(str(o.folder / i) for i in inputs)] if inputs else []
        return [python, "-m", "phitools.data", step, "--out", str(o.folder / name), *takes, *options]
    return Job(name, o.folder / name / product, needs, command)


def _pack(o: Options, name: str, inputs: tuple[str, ...], part: str, *options: str) -> Job:
    return _data(
        o, "pack", f"packed/{name}", (*inputs, "tokenizer"), "--tokenizer", str(o.folder / "tokenizer"), "--shuffle",
        "--part", part, *options, inputs=inputs)


def jobs(o: Options) -> list[Job]:
    """Return all jobs, ordered so that each seed is completed before the next one begins."""
    f, first = o.folder, o.seeds[0]
    near = [str(p) for p in (HELD_OUT, *o.benchmarks)]
    out = [
        _data(
            o, "collect", "code", (), "--standard-library", *(["--packages"] if o.packages else []), "--share",
            str(o.share)),
        _data(o, "dedup", "unique", ("code",), inputs=("code",)),
        _data(o, "annotate", "annotated", ("unique",), inputs=("unique",)),
        _data(o, "textbooks", "textbooks", (), "--count", str(o.textbooks)),
        _data(o, "exercises", "exercises", (), "--count", str(o.exercises)),
        _data(
            o, "decontaminate", "clean-exercises", ("exercises",), "--benchmark", *near, "--tau", "1",
            inputs=("exercises",)),
        _data(
            o, "decontaminate", "clean-textbooks", ("textbooks",), "--benchmark", *near, "--tau", "1",
            inputs=("textbooks",)),
        _data(
            o, "tokenizer", "tokenizer", ("unique", "textbooks", "exercises"), "--characters",
            str(o.tokenizer_characters), "--vocabulary", str(o.vocabulary),
              inputs=("unique", "textbooks", "exercises")),
        _pack(o, "code", ("unique",), "train"), _pack(o, "val-code", ("unique",), "validation"),
        _pack(o, "val-textbooks", ("clean-textbooks",), "validation"),
        _pack(o, "val-exercises", ("clean-exercises",), "validation", "--solutions"),
        _pack(o, "exercises", ("clean-exercises",), "train", "--solutions"),
        _pack(o, "textbooks", ("clean-textbooks",), "train"),
        _data(
            o, "filter", "filtered", ("annotated", f"run a-{first}"), "--checkpoint", str(f / f"a-{first}" / "final"),
            "--labelled", str(o.labelled), inputs=("annotated",)),
        _pack(o, "filtered", ("filtered",), "train"), _pack(o, "val-filtered", ("filtered",), "validation"),
        _pack(o, "mixed", ("filtered", "clean-textbooks"), "train"),
    ]
    for seed in o.seeds:
        for arm in "acdb" if seed == first else "abcd":  # the first seed gives the decisive arms early
            out += _run(o, arm, seed)
    return out + [job for arm in CONTROLS for job in _run(o, arm, first)]


def _steps(config: Path, overrides: tuple[str, ...]) -> int:
    return load(config, list(overrides)).schedule.steps


def _run(o: Options, arm: str, seed: int) -> list[Job]:
    """Return the jobs that train, convert and score one arm with one seed."""
    f, name = o.folder, f"{arm}-{seed}"
    packed = {
        "a": "code", "b": "filtered", "c": "mixed", "d": "exercises", "a-long": "code", "a-exercises": "exercises"}[arm]
    kinds = [k for k in KINDS if k != "filtered"]
    validation = "{" + ", ".join(f'{k} = "{f}/packed/val-{k}"' for k in kinds) + "}"
    settings = [
        f'data.tokenizer="{f}/tokenizer"', f'data.train=["{f}/packed/{packed}"]', f"data.validation={validation}",
        f"run.seed={seed}", f'run.out="{f}/{name}"']
    config, overrides = CONFIGS / "nano.toml", o.pretrain
    needs = tuple(f"packed/{p}" for p in (packed, *(f"val-{k}" for k in kinds)))
    if arm == "a-long":
        overrides += (
            f"schedule.steps={_steps(config, o.pretrain) + _steps(CONFIGS / 'nano-finetune.toml', o.finetune)}",)
    if packed == "exercises":
        start = f"{'c' if arm == 'd' else 'a'}-{seed}"
        config, overrides = CONFIGS / "nano-finetune.toml", o.finetune
        settings.append(f'run.init="{f}/{start}/final"')
        needs += (f"run {start}",)

    def train(python: str) -> list[str]:
        return [
            python, "-m", "phitools.train", "--config", str(config),
            *(x for s in (*settings, *overrides) for x in ("--set", s))]
    model, samples = f / name / "model.phi", f / name / "samples-heldout.jsonl"
    limit = ["--limit", str(o.limit)] if o.limit else []
    return [
        Job(f"run {name}", f / name / "final" / "config.json", needs, train, "run"),
        Job(
            f"convert {name}", model, (f"run {name}",),
            lambda python: [
                str(o.phi), "convert", str(f / name / "final"), "-o", str(model), "--type", "f16", "--force"]),
        Job(f"score {name}", f / name / "heldout.json", (f"convert {name}",),
            lambda python: [
                str(o.phi), "eval", "humaneval", "-m", str(model), "--problems", str(HELD_OUT), "-o", str(samples),
                "-n", "200", "-t", "1", "--json", *limit], save_output=True),
    ]
