"""Plot the output of `phi eval perplexity --json` or `phi eval kl --json`: the perplexity up to each window, or the
quantiles of the divergence.

    phi eval kl -m q4.phi --base f16.phi -f text.txt --json > q4.json
    python plot_eval.py q4.json q8.json -o kl.svg

Other input ends with a line that names the file and the fault, and exit status 1.
"""
from __future__ import annotations

import argparse
import json
import sys
from math import nan
from pathlib import Path
from types import NoneType
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from phitools.durable import write_file
from phitools.output import command

CURVES = {
    "perplexity": ("perplexity_by_window", "perplexity_by_window_error"),
    "kl": ("kl_quantile_fractions", "kl_quantiles")}
"""The two lists of numbers that each kind of report has a curve in."""
OTHERS = {"perplexity": {"context": int}, "kl": {"mean_kl": (int, float)}}


def kind(report: Any) -> str | None:
    """Return which of the kinds that are drawn a report is, or None."""
    if not isinstance(report, dict):
        return None
    for name, keys in CURVES.items():
        curves = [report.get(key) for key in keys]
        if (all(isinstance(curve, list) and all(type(v) in (int, float, NoneType) for v in curve) for curve in curves)
                and len(curves[0]) == len(curves[1]) > 0
                and all(isinstance(report.get(key), str) for key in ("model", "type"))
                and all(isinstance(report.get(key), types) for key, types in OTHERS[name].items())):
            return name
    return None


def read(paths: list[Path]) -> list[dict]:
    """Read reports of one kind; raise ValueError, which names the file, if one is anything else."""
    reports: list[dict] = []
    for path in paths:
        try:
            report = json.loads(path.read_bytes())
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: is not JSON") from error
        found = kind(report)
        if found is None:
            raise ValueError(f"{path}: is no report of `phi eval perplexity --json` or `phi eval kl --json`")
        if reports and found != kind(reports[0]):
            raise ValueError(f"{path}: is a report of {found}, and {paths[0]} one of {kind(reports[0])}")
        reports.append(report)
    return reports


def numbers(curve: list[float | None]) -> list[float]:
    """Return a curve with its nulls, which stand for numbers that are not finite, as gaps."""
    return [nan if value is None else value for value in curve]


def draw(reports: list[dict], output: Path) -> None:
    """Plot one curve per report, all of the same kind."""
    figure, axes = pyplot.subplots(figsize=(7.2, 4.4))
    for report in reports:
        label = f"{Path(report['model']).name} ({report['type']})"
        if kind(report) == "kl":
            fractions, quantiles = (numbers(report[key]) for key in CURVES["kl"])
            percent = [100 * fraction for fraction in fractions]
            line, = axes.plot(percent, quantiles, label=f"{label}, mean {report['mean_kl']:.6f}")
            axes.axhline(report["mean_kl"], color=line.get_color(), linewidth=0.8, linestyle="--")
            axes.set(xlabel="predictions, per cent", ylabel="KL divergence at most, nats", yscale="log")
        else:
            values, errors = (numbers(report[key]) for key in CURVES["perplexity"])
            windows = range(1, len(values) + 1)
            axes.plot(windows, values, label=label)
            axes.fill_between(
                windows, [v - e for v, e in zip(values, errors)], [v + e for v, e in zip(values, errors)], alpha=0.2)
            axes.set(xlabel=f"windows of {report['context']} tokens", ylabel="perplexity")
    axes.legend()
    if not output.suffix:
        output = output.with_name(f"{output.name}.{pyplot.rcParams['savefig.format']}")
    write_file(output, lambda fresh: figure.savefig(fresh, bbox_inches="tight"))


@command
def main(arguments: list[str]) -> str | None:
    """Draw; return the line that tells a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", nargs="+", type=Path, help="JSON files of one kind")
    parser.add_argument("-o", "--output", required=True, type=Path, help="the figure: .svg, .png or .pdf")
    given = parser.parse_args(arguments)
    try:
        reports = read(given.reports)
    except ValueError as error:
        return str(error)
    try:
        draw(reports, given.output)
    except OSError as error:
        return f"{given.output}: {error.strerror}"
    except ValueError as error:  # another ending
        return f"{given.output}: {error}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
