"""The experiment's table, exchange rates, criteria and figure, from its measures; EXPERIMENT.md defines them."""
from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..durable import write_file
from .plan import ARMS

REPLICATES = 10_000
UNSTABLE_METADATA = {".svg": "Date", ".png": "Software"}
"""Metadata of a figure that would differ from run to run, by the suffix of its file."""


@dataclass(frozen=True)
class Estimate:
    """A value and its bootstrap replicates."""

    value: float
    replicates: np.ndarray
    low_bound: float = -np.inf
    """Values from here down, and from `high_bound` up, are bounds: the scale ends there."""
    high_bound: float = np.inf

    def __sub__(self, other: Estimate) -> Estimate:
        return Estimate(self.value - other.value, self.replicates - other.replicates)

    @property
    def interval(self) -> tuple[float, float]:
        low, high = np.quantile(self.replicates, [0.025, 0.975])
        return float(low), float(high)

    def shown(self, digits: int, sign: bool = False) -> str:
        def one(x: float) -> str:
            at_most, at_least = x <= self.low_bound * 1.0001, x >= self.high_bound * 0.9999
            return ("≤ " if at_most else "≥ " if at_least else "") + f"{x:{'+' if sign else ''}.{digits}f}"
        low, high = self.interval
        return f"{one(self.value)} ({one(low)} to {one(high)})"


class Analysis:
    """Bootstrap estimates over problems, the same draws for all arms, and over each run's seeds."""

    def __init__(self, measures: dict[str, Any]) -> None:
        self.measures, self.sizes = measures, measures["sizes"]
        self.groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for run in measures["runs"].values():
            self.groups.setdefault((run["arm"], run["size"]), []).append(run)
        self._draws: dict[str, np.ndarray] = {}
        self._estimates: dict[tuple[str, str, str], Estimate] = {}

    def seeds(self, arm: str, size: str) -> int:
        return len(self.groups.get((arm, size), []))

    def _problems(self, measure: str, count: int) -> np.ndarray:
        """Return how often each replicate draws each problem: [replicates, problems]"""
        if measure not in self._draws:
            r = np.random.default_rng([1, _number(measure)])
            self._draws[measure] = r.multinomial(count, np.full(count, 1 / count), REPLICATES).astype(np.float64)
        return self._draws[measure]

    def ratio(self, arm: str, size: str, measure: str) -> Estimate | None:
        """Return the bits per byte of an arm at a size, or, of pairs, the share preferred; None if not measured."""
        runs = self.groups.get((arm, size))
        if not runs or measure.startswith("pairs ") and not all(measure[6:] in r["pairs"] for r in runs):
            return None
        key = (arm, size, measure)
        if key not in self._estimates:
            if measure.startswith("pairs "):
                name = measure[6:]
                tasks, place = np.unique([str(t) for t in self.measures["tasks"][name]], return_inverse=True)
                top = np.array([np.bincount(place, r["pairs"][name], len(tasks)) for r in runs])
                bottom = np.bincount(place, minlength=len(tasks)).astype(float)
            else:
                top = np.array([r["bits"][measure] for r in runs])
                bottom = np.array(self.measures["bytes"][measure], float)
            drawn = self._problems(measure, len(bottom))
            r = np.random.default_rng([2, _number(f"{arm} {size}")])
            seeds = r.multinomial(len(runs), np.full(len(runs), 1 / len(runs)), REPLICATES) / len(runs)
            replicates = ((drawn @ top.T) * seeds).sum(1) / (drawn @ bottom)
            self._estimates[key] = Estimate(float(top.mean(0).sum() / bottom.sum()), replicates)
        return self._estimates[key]

    def difference(self, a: tuple[str, str], b: tuple[str, str], measure: str = "humaneval") -> Estimate | None:
        first, second = self.ratio(*a, measure), self.ratio(*b, measure)
        return first - second if first and second else None

    def _rate(self, value: Estimate, scale: list[tuple[float, Estimate | None]], unit: float) -> Estimate | None:
        """Invert the scale (size, bits per byte; falling) at a value, in multiples of `unit`."""
        points = [(x, e) for x, e in scale if e]
        if len(points) < 2:
            return None
        x = np.log2([p for p, _ in points])

        def invert(y: np.ndarray, at: float) -> float:
            falling = np.minimum.accumulate(y)
            return float(2 ** np.interp(-at, -falling, x) / unit)
        replicates = np.array([
            invert(np.array(y), v) for *y, v in zip(*(e.replicates for _, e in points), value.replicates)])
        best = invert(np.array([e.value for _, e in points]), value.value)
        return Estimate(best, replicates, 2 ** x[0] / unit, 2 ** x[-1] / unit)

    def parameter_rate(self, arm: str, size: str) -> Estimate | None:
        """Return k: the size on raw of equal bits per byte, in multiples of this size."""
        value, p = self.ratio(arm, size, "humaneval"), self.measures["parameters"]
        return value and self._rate(value, [(p[s], self.ratio("raw", s, "humaneval")) for s in self.sizes], p[size])

    def token_rate(self, arm: str, size: str) -> Estimate | None:
        """Return q: the tokens of raw of equal bits per byte, in multiples of the arm's."""
        value = self.ratio(arm, size, "humaneval")
        scale = [(float(ARMS[a].times), self.ratio(a, size, "humaneval")) for a in ("raw", "raw-x2", "raw-x4")]
        return value and self._rate(value, scale, ARMS[arm].times)


def _number(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


def table(a: Analysis) -> str:
    """Return Markdown with a row for each arm and size that is measured."""
    rows = [
        "| size | arm | seeds | HumanEval | MBPP | held-out | pairs: HumanEval, % | pairs: MBPP, % | k | q |",
        "|---" * 10 + "|"]
    for size in a.sizes:
        for arm in ARMS:
            if not a.seeds(arm, size):
                continue
            cells = [a.ratio(arm, size, m) for m in ("humaneval", "mbpp", "heldout", "pairs humaneval", "pairs mbpp")]
            shown = ["-" if c is None else f"{c.value:.3f}" if i < 3 else f"{100 * c.value:.1f}"
                     for i, c in enumerate(cells)]
            rates = ["-" if arm.startswith("raw") else r.shown(2) if r else "-" for r in (
                a.parameter_rate(arm, size), a.token_rate(arm, size))]
            rows.append(f"| {size} | {arm} | {a.seeds(arm, size)} | " + " | ".join(shown + rates) + " |")
    return "\n".join(rows)


def _sign(e: Estimate | None) -> int:
    """Return -1 if the interval is below 0, 1 if above, else 0."""
    if e is None:
        return 0
    low, high = e.interval
    return -1 if high < 0 else 1 if low > 0 else 0


def criteria(a: Analysis) -> str:
    """Return the verdicts on the criteria of EXPERIMENT.md as Markdown; one that lacks a run is "not measured"."""
    _, small, large = a.sizes
    claim = (("textbooks", small), ("raw", large))
    lines = []

    def add(what: str, tests: list[tuple[tuple[str, str], tuple[str, str], str]], verdict: Callable[[list[int]], str]):
        found = [a.difference(*t) for t in tests]
        shown = "; ".join(
            f"{x[0]} {x[1]} - {y[0]} {y[1]}: {e.shown(3, True) if e else 'not measured'}" for (x, y, _), e in
            zip(tests, found))
        fewest = min(a.seeds(*x) for test in tests for x in test[:2])
        result = "not measured" if None in found else verdict([_sign(e) for e in found]) + (
            "" if fewest > 2 else f", preliminary: {fewest} of 3 seeds")
        lines.append(f"{len(lines) + 1}. {what}: **{result}**. {shown}")
    decided = {-1: "supported", 0: "undecided", 1: "refuted"}
    def holds(signs: list[int]) -> str:
        return "holds" if all(s < 0 for s in signs) else "does not hold"
    add("The claim", [(*claim, "humaneval")], lambda s: decided[s[0]])
    add("Not only form", [(("textbooks", small), ("reshaped", small), "humaneval")], holds)
    add("Not only content", [(("textbooks", small), ("shuffled", small), "humaneval")], holds)
    add("Selection", [(("filtered", s), ("raw", s), "humaneval") for s in (small, large)], holds)
    add("General (MBPP)", [(*claim, "mbpp")], holds)
    doses = [(d, a.ratio(d, small, "humaneval")) for d in ("raw", "dose15", "dose50", "dose85")]
    if all(e for _, e in doses):
        best = min(("dose15", "dose50"), key=lambda d: a.ratio(d, small, "humaneval").value)
        add("Best mixture", [((best, small), (d, small), "humaneval") for d in ("raw", "dose85")], holds)
    else:
        lines.append(f"{len(lines) + 1}. Best mixture: **not measured**.")
    return "\n".join(lines)


def picture(a: Analysis, path: Path) -> None:
    """Plot bits per byte of HumanEval against parameters, a line for each arm, slightly apart; raise ValueError for
    another suffix than .svg or .png."""
    suffix = path.suffix.lower()
    if suffix not in UNSTABLE_METADATA:
        raise ValueError(f"{path}: is to be a picture, with a name that ends in {' or '.join(UNSTABLE_METADATA)}")
    import matplotlib
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "phi"
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(7.5, 4.5), layout="constrained")
    parameters = a.measures["parameters"]
    for i, arm in enumerate(ARMS):
        points = [(s, a.ratio(arm, s, "humaneval")) for s in a.sizes if a.seeds(arm, s)]
        if not points:
            continue
        ends = np.zeros((2, len(points)))
        for j, (s, _) in enumerate(points):
            if arm != "raw" and (d := a.difference((arm, s), ("raw", s))):
                ends[:, j] = d.value - d.interval[0], d.interval[1] - d.value
        axes.errorbar(
            [parameters[s] * 1.02 ** i for s, _ in points], [e.value for _, e in points], ends,
            label=f"{arm}: {ARMS[arm].what}", marker="o", markersize=4, capsize=2, linewidth=1.2,
            linestyle="-" if arm in ("raw", "filtered", "textbooks") else "--")
    axes.set_xscale("log")
    axes.set_xticks(
        [parameters[s] for s in a.sizes], [f"{s}, {parameters[s] / 1e6:.2f} M" for s in a.sizes], minor=False)
    axes.minorticks_off()
    axes.set(
        xlabel="parameters", ylabel="bits per byte of HumanEval's solutions",
        title="bars: 95 % intervals of the difference from raw at the same size")
    axes.title.set_fontsize(9)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    write_file(path, lambda fresh: figure.savefig(fresh, metadata={UNSTABLE_METADATA[suffix]: None}))
    pyplot.close(figure)


def text(a: Analysis) -> str:
    """Return the report as Markdown."""
    return f"{table(a)}\n\n{criteria(a)}"
