"""The README's bar chart as SVG, deterministic for the same numbers."""
from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from compare.cases import BY_NAME, DECODE
from compare.table import contenders, medians
from inputs import write_text

OURS, THEIRS, INK = "#e8590c", "#adb5bd", "#212529"
SHOWN = ["pp512", DECODE]


def draw(data: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update(
        {"svg.hashsalt": "swift-phi", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10})
    from matplotlib import pyplot

    found = medians(data)
    labels = [label for label in contenders(data) if any((label, case) in found for case in SHOWN)]
    figure, axes = pyplot.subplots(1, len(SHOWN), figsize=(10, 0.6 + 0.36 * len(labels)), sharey=True)
    for axis, name in zip(axes, SHOWN):
        values = [found.get((label, name), 0.0) for label in labels]
        colours = [OURS if label.startswith("swift-phi") else THEIRS for label in labels]
        bars = axis.barh(labels, values, color=colours, height=0.7)
        axis.bar_label(
            bars, labels=[f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value else "" for value in values],
            padding=3, color=INK)
        axis.set_title(f"{BY_NAME[name].title}, tokens a second", fontsize=10, loc="left", color=INK)
        axis.set_xlim(0, max(values, default=1) * 1.15 or 1)
        axis.xaxis.set_visible(False)
        axis.tick_params(left=False)
        for spine in axis.spines.values():
            spine.set_visible(False)
    axes[0].invert_yaxis()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    write_text(path, drawn.getvalue())
