"""Filter by a random forest on phi's embeddings, as in the paper: it is trained on a labelled sample and classifies the
other documents.

A fifth of the sample is held out for precision and recall (`report.json`) and the ROC curve (`roc.png`).
"""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import auc, precision_score, recall_score, roc_curve


def teach(embeddings: np.ndarray, labels: np.ndarray, seed: int) -> tuple[
        RandomForestClassifier, dict[str, Any], tuple[np.ndarray, np.ndarray]]:
    """Train the forest: returns it, its held-out report and the ROC curve. ValueError if only one label occurs."""
    if len(set(labels.tolist())) < 2 or len(labels) < 50:
        raise ValueError(f"{len(labels)} labels with {int(labels.sum())} valuable are too few to learn from")
    order = np.random.default_rng(seed).permutation(len(labels))
    held, used = order[:len(order) // 5], order[len(order) // 5:]
    forest = RandomForestClassifier(n_estimators=200, min_samples_leaf=2, random_state=seed, n_jobs=1).fit(
        embeddings[used], labels[used])
    score = forest.predict_proba(embeddings[held])[:, 1]
    false, true, _ = roc_curve(labels[held], score)
    chosen = score >= 0.5
    report = {
        "labelled": len(labels), "valuable": int(labels.sum()), "held_out": len(held),
        "precision": round(float(precision_score(labels[held], chosen, zero_division=0)), 4),
        "recall": round(float(recall_score(labels[held], chosen, zero_division=0)), 4),
        "roc_auc": round(float(auc(false, true)), 4),
        "base_rate": round(float(labels[held].mean()), 4)}
    return forest, report, (false, true)


def picture(curve: tuple[np.ndarray, np.ndarray], report: dict[str, Any], path: Path) -> None:
    """Plot the ROC curve."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(4, 4), layout="constrained")
    axes.plot(*curve, label=f"area {report['roc_auc']:.3f}")
    axes.plot([0, 1], [0, 1], color="0.8")
    axes.set(xlabel="false positives", ylabel="true positives", title="valuable or not, held-out labels")
    axes.legend()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def write_report(report: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", encoding="utf-8")
