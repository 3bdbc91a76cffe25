"""Make a pool of the experiment's documents: python -m phitools.experiment.pools STEP --out FOLDER; the steps are:

- corpus: install the pinned packages of `corpus.txt` with pip, which checks their hashes and runs none of their code.
- select: label a sample by the rule, train a forest on their embeddings, and keep the best of the other documents.
- reshape: every function with a docstring becomes a document: signature, first paragraph of the docstring, body.
- shuffle: permute the explanations of textbook pages among the pages' functions.
"""
from __future__ import annotations

import argparse
import ast
import json
import random
import re
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from datatrove.data import Document

from ..data.annotate import VALUABLE, rule_score
from ..data.steps import count, finish, finished, name, read, write_documents
from ..durable import check_free, write_folder
from ..output import command, say
from ..packed import sha256

PINNED = Path(__file__).with_name("corpus.txt")
PLATFORM = ["--python-version", "3.11", "--implementation", "cp", *(
    x for abi in ("cp311", "abi3", "none") for x in ("--abi", abi)), *(
    x for p in ("_2_28", "_2_27", "_2_24", "2014") for x in ("--platform", f"manylinux{p}_x86_64"))]
"""The platform of the pinned wheels, so that every machine gets the same files."""


def install(out: Path) -> None:
    """Install the pinned packages into `out` and keep their modules and metadata; ValueError if it is something
    else's."""
    check_free(out, "corpus")

    def fill(folder: Path) -> None:
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action",
             "ignore", "--target", str(folder), "--no-deps", "--no-compile", "--only-binary", ":all:", *PLATFORM,
             "--require-hashes", "-r", str(PINNED)], check=True)
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix != ".py" and not path.parent.name.endswith(".dist-info"):
                path.unlink()
        (folder / "manifest.json").write_text(json.dumps({"step": "corpus", PINNED.name: sha256(PINNED)}) + "\n")
    write_folder(out, fill)


def functions(text: str) -> Iterator[str]:
    """Yield each function and method that has a docstring and more, dedented, as signature, first paragraph of the
    docstring and body."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        lines = text.split("\n")
        classes = [tree, *(n for n in ast.walk(tree) if isinstance(n, ast.ClassDef))]
        for node in (f for c in classes for f in c.body if isinstance(f, ast.FunctionDef)):
            words = ast.get_docstring(node)
            if not words or len(node.body) < 2 or '"""' in words or "\\" in words:
                continue
            first, rest = node.body[0], node.body[1]
            if first.lineno == node.lineno or rest.lineno <= (first.end_lineno or 0):
                continue
            paragraph = textwrap.indent(words.split("\n\n")[0], "    ").strip()
            signature = textwrap.dedent("\n".join(lines[node.lineno - 1:first.lineno - 1]))
            body = textwrap.dedent("\n".join(lines[first.end_lineno:node.end_lineno])).strip("\n")
            out = f'{signature}\n    """{paragraph}"""\n{textwrap.indent(body, "    ")}\n'
            try:
                ast.parse(out)
            except (SyntaxError, ValueError):
                continue
            yield out


def selected(
        texts: list[str], checkpoint: Path, labelled: int, share: float, seed: int) -> tuple[list[str], dict[str, Any]]:
    """Return the best share of the texts that the forest has not seen, in order, and a report."""
    from sklearn.metrics import roc_auc_score

    from ..data import select
    from ..data.embed import Embedder
    sample = np.sort(np.random.default_rng(seed).permutation(len(texts))[:labelled])
    others = np.setdiff1d(np.arange(len(texts)), sample)
    label = np.array([rule_score(texts[i]) >= VALUABLE for i in sample])
    if len(others) == 0 or len(set(label.tolist())) < 2:
        raise ValueError(f"{len(sample)} labelled of {len(texts)} documents, {label.sum()} valuable: nothing to learn")
    vectors = Embedder(checkpoint)(texts)
    score = select.probability(select.train(vectors[sample], label, seed), vectors[others])
    least = np.quantile(score, 1 - share)
    check = np.random.default_rng(seed + 1).permutation(len(others))[:labelled]  # labelled for the report only
    truth, kept = np.array([rule_score(texts[i]) >= VALUABLE for i in others[check]]), score[check] >= least
    return [texts[i] for i in others[score >= least]], {
        "labelled": len(sample), "valuable": int(label.sum()), "judged": len(others),
        "kept": int((score >= least).sum()),
        "precision": round(float(truth[kept].mean()), 4), "base_rate": round(float(truth.mean()), 4),
        "recall": round(float(kept[truth].mean()), 4), "roc_auc": round(float(roc_auc_score(truth, score[check])), 4)}


EXPLANATION = re.compile(r"^[^\n]+(?=\n\ndef )", re.MULTILINE)


def shuffled(pages: list[str], seed: int) -> list[str]:
    """Return the pages with the paragraphs before functions permuted among all of them."""
    explanations = [m.group() for p in pages for m in EXPLANATION.finditer(p)]
    random.Random(seed).shuffle(explanations)
    left = iter(explanations)
    return [EXPLANATION.sub(lambda _: next(left), p) for p in pages]


@command
def main() -> int:
    top = argparse.ArgumentParser(prog="phitools.experiment.pools", description=__doc__.split("\n")[0])
    top.add_argument("step", choices=["corpus", "select", "reshape", "shuffle"])
    top.add_argument("--out", type=Path, required=True)
    top.add_argument("--input", type=Path, help="the folder of a finished step")
    top.add_argument("--checkpoint", type=Path, help="the phi whose embeddings select compares")
    top.add_argument("--labelled", type=int, default=4000)
    top.add_argument("--share", type=float, default=0.2)
    top.add_argument("--seed", type=int, default=1)
    a = top.parse_args()
    try:
        if a.step == "corpus":
            install(a.out)
            return 0
        if not a.input:
            raise ValueError(f"{a.step} needs --input")
        if a.step == "select" and not a.checkpoint:
            raise ValueError("select needs --checkpoint")
        options: dict[str, Any] = {"seed": a.seed}
        if a.step == "select":
            options |= {"labelled": a.labelled, "share": a.share, "weights": sha256(a.checkpoint / "model.safetensors")}
        if finished(a.out, options, [a.input]):
            return 0
        documents, report = [d.text for d in read(a.input)], {}
        if a.step == "select":
            made, report = selected(documents, a.checkpoint, a.labelled, a.share, a.seed)
        elif a.step == "shuffle":
            made = shuffled(documents, a.seed)
        else:
            made = [f for d in documents for f in functions(d)]
        write_documents(a.out, (Document(text, name(text)) for text in dict.fromkeys(made)))
        finish(a.out, a.step, options, [a.input], count(a.out) | report)
        return 0
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        say(f"phitools.experiment.pools {a.step}: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
