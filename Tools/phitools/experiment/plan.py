"""The plan of the experiment of EXPERIMENT.md: jobs for pools, training tokens, runs and measures, with their
dependencies, the most telling ones first."""
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..durable import write_text
from ..exercises.heldout import FILE as HELD_OUT

CONFIG = Path(__file__).with_name("experiment.toml")

SIZES = {"XS": (32, 4, 2), "S": (64, 4, 4), "M": (128, 6, 4), "L": (256, 6, 4), "XL": (384, 8, 6)}
"""Hidden size, layers and heads."""


@dataclass(frozen=True)
class Arm:
    """Training data: shares of pools, and the multiple of the token budget."""

    what: str
    pools: tuple[tuple[str, float], ...]
    times: int = 1


def _dose(percent: int) -> Arm:
    return Arm(
        f"raw with {percent} % exercises", (("unique", 1 - percent / 100), ("clean-exercises", percent / 100)))


ARMS = {
    "raw": Arm("raw", (("unique", 1.0),)),
    "filtered": Arm("filtered", (("filtered", 1.0),)),
    "textbooks": Arm("half filtered, half textbooks", (("filtered", 0.5), ("clean-textbooks", 0.5))),
    "dose15": _dose(15), "dose50": _dose(50), "dose85": _dose(85),
    "reshaped": Arm("raw functions as docstring and body", (("reshaped", 1.0),)),
    "shuffled": Arm("as textbooks, explanations shuffled", (("filtered", 0.5), ("shuffled", 0.5))),
    "raw-x2": Arm("raw, twice the tokens", (("unique", 1.0),), 2),
    "raw-x4": Arm("raw, four times the tokens", (("unique", 1.0),), 4),
}


@dataclass(frozen=True)
class Scale:
    """The sizes of an experiment."""

    sizes: tuple[str, str, str]
    """Model sizes; the claim compares the second with the third."""
    steps: int = 1024
    sequences: int = 2
    share: float = 1.0
    """Share of the corpus' files."""
    exercises: int = 40_000
    textbooks: int = 8_000
    vocabulary: int = 2048
    labelled: int = 4000
    context: int = 512
    packages: bool = True
    """Whether the pinned packages belong to the corpus; without, it is the standard library."""
    characters: int = 20_000_000
    """Characters that the tokenizer is trained on."""
    settings: tuple[str, ...] = ()
    """Overrides of experiment.toml."""

    @property
    def tokens(self) -> int:
        return self.steps * self.sequences * self.context


SCALES = {
    "cpu": Scale(("XS", "S", "M")),
    "gpu": Scale(("M", "L", "XL"), 512, 16, exercises=80_000, textbooks=25_000),
}


@dataclass(frozen=True)
class Options:
    """An experiment: where it is made, from what, and its size."""

    folder: Path
    phi: Path
    """The `phi` command, which converts and measures."""
    benchmarks: dict[str, Path]
    """The files of `humaneval` and `mbpp`."""
    scale: Scale = SCALES["cpu"]
    seeds: tuple[int, ...] = (1, 2, 3)

    @property
    def problem_sets(self) -> dict[str, tuple[str, Path]]:
        """Problem set of `phi eval` and file, by measure."""
        return {k: (k, p) for k, p in self.benchmarks.items()} | {"heldout": ("humaneval", HELD_OUT)}


@dataclass(frozen=True)
class Job:
    """A command whose completion creates `product`."""

    name: str
    product: Path
    needs: tuple[str, ...]
    command: Callable[[str], list[str]]
    """Returns the command line for a Python interpreter."""
    save_output: bool = False
    """Whether the product is the command's standard output."""


def _step(
        o: Options, module: str, step: str, name: str, inputs: tuple[str, ...], *options: str,
        after: tuple[str, ...] = ()) -> Job:
    """Return a job that makes a folder of others, when these and the jobs `after` are done."""
    named = ["--input", *(str(o.folder / i) for i in inputs)] if inputs else []
    return Job(
        name, o.folder / name / "manifest.json", inputs + after,
        lambda python: [python, "-m", f"phitools.{module}", step, "--out", str(o.folder / name), *named, *options])


def _pools(o: Options) -> list[Job]:
    """Return the jobs that make all pools but the filtered one, and the tokenizer."""
    f, s = o.folder, o.scale
    near = ["--benchmark", *(str(p) for _, p in o.problem_sets.values()), "--tau", "0.9"]
    corpus = ("corpus",) if s.packages else ()
    return [
        *(_step(o, "experiment.pools", "corpus", name, ()) for name in corpus),
        _step(
            o, "data", "collect", "code", (), "--standard-library", "--share", str(s.share),
            *(x for name in corpus for x in ("--packages-in", str(f / name))), after=corpus),
        _step(o, "data", "dedup", "unique", ("code",)),
        _step(
            o, "data", "tokenizer", "tokenizer", ("unique",), "--vocabulary", str(s.vocabulary), "--positions",
            str(s.context), "--characters", str(s.characters)),
        _step(o, "experiment.pools", "reshape", "reshaped", ("unique",)),
        _step(o, "data", "textbooks", "textbooks", (), "--count", str(s.textbooks)),
        _step(o, "data", "decontaminate", "clean-textbooks", ("textbooks",), *near),
        _step(o, "experiment.pools", "shuffle", "shuffled", ("clean-textbooks",)),
        _step(o, "data", "exercises", "exercises", (), "--count", str(s.exercises)),
        _step(o, "data", "decontaminate", "clean-exercises", ("exercises",), *near),
    ]


def keep(path: Path, options: dict[str, Any], writes: bool) -> None:
    """Note in a folder what its products are made with, if this run makes some; ValueError if they were made with other
    options, since their names don't tell."""
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: is damaged ({error}); remove {path.parent}, or choose another --out") from None
        if found != options:
            raise ValueError(f"{path.parent}: was made with {found}, not {options}; choose another --out, or remove it")
    elif writes:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(options) + "\n")


def runs(scale: Scale, seeds: tuple[int, ...]) -> list[tuple[str, str, int]]:
    """Return arm, size and seed of all runs, the most telling ones first."""
    small, middle, large = scale.sizes
    first = ("raw", "filtered", "textbooks", "dose15")
    controls, longer, doses = ("reshaped", "shuffled"), ("raw-x2", "raw-x4"), ("dose50", "dose85")
    order = [("raw", middle), ("raw", large), *((a, middle) for a in first[1:] + controls)]
    order += [(a, small) for a in first]
    order += [(a, middle) for a in longer + doses]
    order += [(a, small) for a in controls + doses]
    order += [(a, large) for a in (*first[1:], *controls, *doses)]
    return [(arm, size, seed) for seed in seeds for arm, size in order]


def jobs(o: Options) -> list[Job]:
    """Return all jobs in the order in which they are started."""
    f, s = o.folder, o.scale
    made = runs(s, o.seeds)
    embedder = "-".join(map(str, made[0]))
    out = _pools(o)
    for arm, size, seed in made:
        name = f"{arm}-{size}-{seed}"
        if seed != o.seeds[0]:
            out += _pairs(o)
        out += _run(o, arm, size, seed)
        if name == embedder:
            out.append(_step(
                o, "experiment.pools", "select", "filtered", ("unique",), "--checkpoint",
                str(f / "runs" / name / "final"), "--labelled", str(s.labelled), after=(f"train {name}",)))
    return list({j.name: j for j in out + _pairs(o)}.values())


def _pairs(o: Options) -> list[Job]:
    def job(name: str, path: Path, pairs: Path) -> Job:
        return Job(pairs.stem, pairs, (), lambda python: [
            python, "-m", "phitools.experiment.pairs", "--set", name, "--problems", str(path), "--phi", str(o.phi),
            "--out", str(pairs)])
    return [job(name, path, o.folder / f"pairs-{name}.jsonl") for name, path in o.benchmarks.items()]


def _run(o: Options, arm: str, size: str, seed: int) -> list[Job]:
    """Return the jobs that pack the tokens of an arm and seed, and train, convert and measure a model of one size."""
    f, s, a = o.folder, o.scale, ARMS[arm]
    hidden, layers, heads = SIZES[size]
    name, packed = f"{arm}-{size}-{seed}", f"packed/{arm}-{seed}"
    run, model = f / "runs" / name, f / "runs" / name / "model.phi"
    settings = (
        f'data.tokenizer="{f}/tokenizer"', f'data.train=["{f}/{packed}"]', f'run.out="{run}"', f"run.seed={seed}",
        f"model.hidden={hidden}", f"model.layers={layers}", f"model.heads={heads}",
        f"model.intermediate={4 * hidden}", f"model.positions={s.context}", f"batch.context={s.context}",
        f"batch.sequences={s.sequences}", f"schedule.steps={a.times * s.steps}", *s.settings)
    out = [
        Job(packed, f / packed / "manifest.json", ("tokenizer", *(p for p, _ in a.pools)), lambda python: [
            python, "-m", "phitools.experiment.mix", "--pool", *(f"{f / p}:{x}" for p, x in a.pools), "--tokens",
            str(a.times * s.tokens), "--seed", str(seed), "--tokenizer", str(f / "tokenizer"), "--benchmark",
            *map(str, o.benchmarks.values()), "--out", str(f / packed)]),
        Job(f"train {name}", run / "final" / "config.json", (packed,), lambda python: [
            python, "-m", "phitools.train", "--config", str(CONFIG), *(x for y in settings for x in ("--set", y))]),
        Job(f"convert {name}", model, (f"train {name}",), lambda python: [
            str(o.phi), "convert", str(run / "final"), "-o", str(model), "--type", "f32", "--force"]),
    ]
    for measure, (problems, path) in o.problem_sets.items():
        out.append(Job(
            f"code-loss {measure} {name}", run / f"code-loss-{measure}.json", (f"convert {name}",),
            lambda python, problems=problems, path=path: [
                str(o.phi), "eval", "code-loss", problems, "--problems", str(path), "-m", str(model), "-t", "1",
                "--json"], save_output=True))
    for benchmark in o.benchmarks:
        out.append(Job(
            f"pairs {benchmark} {name}", run / f"pairs-{benchmark}.json", (f"convert {name}", f"pairs-{benchmark}"),
            lambda python, benchmark=benchmark: [
                str(o.phi), "eval", "pairs", "--pairs", str(f / f"pairs-{benchmark}.jsonl"), "-m", str(model), "-t",
                "1", "--json"], save_output=True))
    return out
