"""Sample efficiency: how many exercises a pretrained model needs to solve half of the held-out ones, as EXPERIMENT.md
defines it.

Every pretrained model of the experiment is fine-tuned on n exercises, with n doubling until it solves half or there are
no more. The first n of a seed's order are used, so that a larger n begins with those of a smaller one.
"""
from __future__ import annotations

import json
from math import log2
from pathlib import Path

import numpy as np

from . import queue, scores
from .plan import CONFIG, HELD_OUT, Job, Options, runs
from .report import Estimate

PASSES, LEAST_STEPS, MOST_STEPS = 4, 300, 6000
SEQUENCES, CONTEXT = 4, 256
GOAL = 0.5


def counts(o: Options, least: int) -> list[int]:
    """Return every n: `least` and its doublings, as far as there are exercises to train on."""
    found = json.loads((o.folder / "clean-exercises" / "manifest.json").read_text(encoding="utf-8"))
    if least > found["counts"]["documents"]:
        raise ValueError(f"--least {least}: there are {found['counts']['documents']} exercises")
    out = [least]
    while 2 * out[-1] <= found["counts"]["documents"]:
        out.append(2 * out[-1])
    return out


def models(o: Options) -> list[str]:
    """Return the names of the pretrained models that there are."""
    names = [f"{arm}-{size}-{seed}" for arm, size, seed in runs(o.scale, o.seeds)]
    return [n for n in names if (o.folder / "runs" / n / "final" / "config.json").exists()]


def steps(packed: Path) -> int:
    """Return the steps of fine-tuning: so many passes, within limits."""
    tokens = json.loads((packed / "manifest.json").read_text(encoding="utf-8"))["tokens"]
    return max(LEAST_STEPS, min(MOST_STEPS, round(PASSES * tokens / SEQUENCES / CONTEXT)))


def jobs(o: Options, name: str, count: int, settings: tuple[str, ...] = (), limit: int = 400) -> list[Job]:
    """Return the jobs that fine-tune a model on `count` exercises and score it on the first `limit` held-out ones."""
    f = o.folder / "efficiency"
    packed, run = f / f"exercises-{count}", f / f"{name}-{count}"
    tag, init = f"{name} {count}", o.folder / "runs" / name / "final"

    def train(python: str) -> list[str]:
        overrides = (
            f'run.out="{run}"', 'run.mode="finetune"', f'run.init="{init}"', f'data.train=["{packed}"]',
            'data.tokenizer=""', "model.hidden=0", "model.layers=0", "model.heads=0", "model.intermediate=0",
            "model.positions=0", f"batch.sequences={SEQUENCES}", f"batch.context={CONTEXT}",
            f"schedule.steps={steps(packed)}", *settings)
        return [python, "-m", "phitools.train", "--config", str(CONFIG), *(x for y in overrides for x in ("--set", y))]
    return [
        Job(f"exercises {count}", packed / "manifest.json", (), lambda python: [
            python, "-m", "phitools.data", "pack", "--input", str(o.folder / "clean-exercises"), "--tokenizer",
            str(o.folder / "tokenizer"), "--shuffle", "--documents", str(count), "--solutions", "--out", str(packed)]),
        Job(f"tune {tag}", run / "final" / "config.json", (f"exercises {count}",), train),
        Job(f"convert {tag}", run / "model.phi", (f"tune {tag}",), lambda python: [
            str(o.phi), "convert", str(run / "final"), "-o", str(run / "model.phi"), "--type", "f32", "--force"]),
        Job(f"score {tag}", run / "score.json", (f"convert {tag}",), lambda python: [
            str(o.phi), "eval", "humaneval", "--problems", str(HELD_OUT), "-m", str(run / "model.phi"), "-n", "200",
            "--limit", str(limit), "-t", "1", "--workers", "1", "--json"], save_output=True)]


def run(
        o: Options, workers: int, nice: int, least: int, settings: tuple[str, ...] = (), limit: int = 400) -> int:
    """Run all that is not done; return 0, or 1 if a job failed."""
    wanted = models(o)
    for count in counts(o, least):
        wanted = [n for n in wanted if (s := solved(o, n)).get(count // 2) is None or s[count // 2].value < GOAL]
        made = {j.name: j for n in wanted for j in jobs(o, n, count, settings, limit)}
        if made and queue.run(list(made.values()), o.folder / "efficiency" / "logs", workers, nice):
            return 1
    return 0


def solved(o: Options, name: str) -> dict[int, Estimate]:
    """Return the share of held-out exercises that a model solves after n exercises, by n."""
    found = {}
    for path in (o.folder / "efficiency").glob(f"{name}-*/score.json"):
        found[int(path.parent.name.removeprefix(f"{name}-"))] = scores.ratio(list(scores.pass_rates(path).values()))
    return dict(sorted(found.items()))


def needed(shares: dict[int, Estimate]) -> Estimate:
    """Return the n that gives half, by the logarithm of n between the measured ones; a bound beyond them."""
    x = [log2(n) for n in shares]

    def invert(y: np.ndarray) -> float:
        rising = np.maximum.accumulate(y) + 1e-9 * np.arange(len(y))
        return float(2 ** np.interp(GOAL, rising, x))
    replicates = np.array([invert(np.array(y)) for y in zip(*(e.replicates for e in shares.values()))])
    return Estimate(invert(np.array([e.value for e in shares.values()])), replicates, 2 ** x[0], 2 ** x[-1])


def report(o: Options) -> str:
    """Return Markdown: each model's share after n exercises, in per cent, and the n for half."""
    found = {n: s for n in models(o) if (s := solved(o, n))}
    if not found:
        raise ValueError(f"{o.folder / 'efficiency'}: no model has been scored yet")
    columns = sorted({n for s in found.values() for n in s})
    rows = ["| model | " + " | ".join(f"{n:,}" for n in columns) + " | exercises for half |",
            "|---" * (len(columns) + 2) + "|"]
    for name, shares in found.items():
        cells = [f"{100 * shares[n].value:.1f}" if n in shares else "-" for n in columns]
        rows.append(f"| {name} | " + " | ".join(cells) + f" | {needed(shares).shown(0)} |")
    return "\n".join(rows)
