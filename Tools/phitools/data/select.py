"""Filter by a random forest on phi's embeddings, as in the paper: it is trained on a labelled sample and classifies the
other documents.

No document is judged by a forest that has seen it. The labelled ones are judged in five parts, each by a forest of the
other four, and the rest by a forest of them all. So precision, recall (`report.json`) and the ROC curve (`roc.png`),
which come from the labelled ones, hold for all that is kept.
"""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import auc, precision_score, recall_score, roc_curve

PARTS = 5


def check(labels: np.ndarray) -> None:
    """Raise ValueError for labels that nothing can be learnt from."""
    if len(set(labels.tolist())) < 2 or len(labels) < 50:
        raise ValueError(
            f"{len(labels)} labels with {int(labels.sum())} valuable are too few to learn from; "
            "`annotate` makes more")


def train(vectors: np.ndarray, labels: np.ndarray, seed: int) -> RandomForestClassifier:
    """Return a forest that has learnt labels."""
    forest = RandomForestClassifier(n_estimators=200, min_samples_leaf=2, random_state=seed, n_jobs=1)
    return forest.fit(vectors, labels)


def probability(forest: RandomForestClassifier, vectors: np.ndarray) -> np.ndarray:
    """Return the probability of label 1; a forest that saw one label only is sure of it."""
    place = forest.classes_.tolist()
    return forest.predict_proba(vectors)[:, place.index(1)] if 1 in place else np.zeros(len(vectors))


def judge(vectors: np.ndarray, labels: np.ndarray, known: np.ndarray, seed: int) -> tuple[
        np.ndarray, dict[str, Any], tuple[np.ndarray, np.ndarray]]:
    """Return each document's score by a forest that hasn't seen it, the report and the ROC curve. labels: of the
    documents `known` (their places)"""
    check(labels)
    scores = np.zeros(len(vectors))
    part = np.random.default_rng(seed).permutation(len(known)) % PARTS
    for i in range(PARTS):
        mine, others = known[part == i], known[part != i]
        scores[mine] = probability(train(vectors[others], labels[part != i], seed), vectors[mine])
    rest = np.setdiff1d(np.arange(len(vectors)), known)
    if len(rest):
        scores[rest] = probability(train(vectors[known], labels, seed), vectors[rest])
    judged = scores[known]
    false, true, _ = roc_curve(labels, judged)
    chosen = judged >= 0.5
    report = {
        "labelled": len(labels), "valuable": int(labels.sum()),
        "precision": round(float(precision_score(labels, chosen, zero_division=0)), 4),
        "recall": round(float(recall_score(labels, chosen, zero_division=0)), 4),
        "roc_auc": round(float(auc(false, true)), 4),
        "base_rate": round(float(labels.mean()), 4)}
    return scores, report, (false, true)


def picture(curve: tuple[np.ndarray, np.ndarray], report: dict[str, Any], path: Path) -> None:
    """Plot the ROC curve."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    figure, axes = pyplot.subplots(figsize=(4, 4), layout="constrained")
    axes.plot(*curve, label=f"area {report['roc_auc']:.3f}")
    axes.plot([0, 1], [0, 1], color="0.8")
    axes.set(xlabel="false positives", ylabel="true positives", title="valuable or not, labels unseen")
    axes.legend()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def write_report(report: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", encoding="utf-8")
