"""Plot the output of `phi eval perplexity --json` or `phi eval kl --json`: the perplexity up to each window, or the
quantiles of the divergence.

    phi eval kl -m q4.phi --base f16.phi -f text.txt --json > q4.json
    python plot_eval.py q4.json q8.json -o kl.svg
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot


def draw(reports: list[dict], output: Path) -> None:
    """Plot one curve per report, all of the same kind."""
    figure, axes = pyplot.subplots(figsize=(7.2, 4.4))
    for report in reports:
        label = f"{Path(report['model']).name} ({report['type']})"
        if "kl_quantiles" in report:
            percent = [100 * fraction for fraction in report["kl_quantile_fractions"]]
            line, = axes.plot(percent, report["kl_quantiles"], label=f"{label}, mean {report['mean_kl']:.6f}")
            axes.axhline(report["mean_kl"], color=line.get_color(), linewidth=0.8, linestyle="--")
            axes.set(xlabel="predictions, per cent", ylabel="KL divergence at most, nats", yscale="log")
        else:
            values, errors = report["perplexity_by_window"], report["perplexity_by_window_error"]
            windows = range(1, len(values) + 1)
            axes.plot(windows, values, label=label)
            axes.fill_between(
                windows, [v - e for v, e in zip(values, errors)], [v + e for v, e in zip(values, errors)], alpha=0.2)
            axes.set(xlabel=f"windows of {report['context']} tokens", ylabel="perplexity")
    axes.legend()
    figure.savefig(output, bbox_inches="tight")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", nargs="+", type=Path, help="JSON files of one kind")
    parser.add_argument("-o", "--output", required=True, type=Path, help="the figure: .svg, .png or .pdf")
    arguments = parser.parse_args()
    draw([json.loads(path.read_text()) for path in arguments.reports], arguments.output)
