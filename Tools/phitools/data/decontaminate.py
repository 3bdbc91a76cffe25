"""Remove what is too near a benchmark: HumanEval, MBPP, the held-out exercises. The paper's section 5 with its three
measures.

- 13-grams: a document that shares 13 words in a row with a benchmark's prompt is removed.
- Embeddings: the distance of normalised embeddings to the nearest problem is reported, and pruned below `--distance`
  where that is given.
- Syntax trees: the match rate (1 - edit distance / longer length) between a document's functions and the nearest
  solution; the report counts what each tau of 0.95, 0.9, 0.85 and 0.8 would prune, `--tau` prunes.
"""
from __future__ import annotations

import ast
import gzip
import json
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

WORDS, TAUS = 13, (0.95, 0.9, 0.85, 0.8)


@dataclass(frozen=True)
class Problem:
    """A problem of a benchmark: its prompt and a correct solution."""

    benchmark: str
    id: str
    prompt: str
    solution: str


def problems(path: Path) -> list[Problem]:
    """Read HumanEval's or MBPP's JSONL, gzipped or not; ValueError names a line that is neither."""
    opened: Any = gzip.open if path.suffix == ".gz" else open
    found = []
    with opened(path, "rt", encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            try:
                d = json.loads(line)
                if "canonical_solution" in d:
                    found.append(
                        Problem(path.name, str(d["task_id"]), d["prompt"], d["prompt"] + d["canonical_solution"]))
                else:
                    found.append(Problem(path.name, str(d["task_id"]), d["text"], d["code"]))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{path}, line {number}: not a problem of HumanEval or MBPP ({type(error).__name__}: {error})"
                ) from None
    return found


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9_]+", text.lower())


def grams(text: str) -> set[str]:
    """Runs of 13 words."""
    w = words(text)
    return {" ".join(w[i:i + WORDS]) for i in range(len(w) - WORDS + 1)}


class _Signs:
    """Syntax trees as strings, one character a node, so that a string's edit distance is the tree's."""

    def __init__(self) -> None:
        self.table: dict[str, str] = {}

    def sign(self, kind: str) -> str:
        return self.table.setdefault(kind, chr(0x100 + len(self.table)))

    def of(self, node: ast.AST) -> str:
        """Node kinds in order; constants and called names count, variables' names do not."""
        out = []
        for n in ast.walk(node):
            if isinstance(n, (ast.expr_context, ast.arguments)):
                continue
            kind = type(n).__name__
            if isinstance(n, ast.Constant):
                kind += repr(n.value)
            elif isinstance(n, ast.Attribute):
                kind += n.attr
            elif isinstance(n, ast.Call) and isinstance(n.func, ast.Name):
                kind += n.func.id
            out.append(self.sign(kind))
        return "".join(out)

    def functions(self, text: str) -> list[str]:
        """Of each function, without docstring and annotations. In prose that does not parse, of each block that begins
        with "def"."""
        found = []
        for part in [text, *re.findall(r"^def .*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)]:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", SyntaxWarning)
                    tree = ast.parse(part)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
            for n in ast.walk(tree):
                if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    body = n.body[1:] if ast.get_docstring(n) is not None else n.body
                    found.append("".join(self.of(statement) for statement in body))
            if part is text:
                break
        return [f for f in found if f]


def match_rates(texts: list[str], benchmark: list[Problem]) -> np.ndarray:
    """For each text the largest match rate of one of its functions with a solution; 0 where it has none. float32
    [texts]"""
    signs = _Signs()
    solutions = sorted({f for p in benchmark for f in signs.functions(p.solution)})
    functions = [(i, f) for i, t in enumerate(texts) for f in signs.functions(t)]
    best = np.zeros(len(texts), np.float32)
    if not solutions:
        return best
    for start in range(0, len(functions), 2048):
        part = functions[start:start + 2048]
        rates = cdist(
            [f for _, f in part], solutions, scorer=Levenshtein.normalized_similarity, score_cutoff=min(TAUS) - 0.01,
            dtype=np.float32).max(1)
        for (i, _), rate in zip(part, rates):
            best[i] = max(best[i], rate)
    return best


def nearest(texts: Iterable[str], benchmark: list[Problem], embed: Any) -> np.ndarray:
    """Distance of normalised embeddings to the nearest problem. float32 [texts]"""
    def unit(v: np.ndarray) -> np.ndarray:
        return v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-9)
    a, b = unit(embed(texts)), unit(embed(p.solution for p in benchmark))
    return np.sqrt(np.maximum(0, 2 - 2 * (a @ b.T).max(1)))


def judge(texts: list[str], benchmark: list[Problem], tau: float, distance: float, embed: Any = None) -> tuple[
        list[bool], dict[str, Any]]:
    """Which texts stay, and the report. tau above 1 and distance 0 prune nothing by those measures."""
    forbidden = set().union(*(grams(p.prompt) for p in benchmark)) if benchmark else set()
    shared = np.array([not forbidden.isdisjoint(grams(t)) for t in texts], bool)
    rates = match_rates(texts, benchmark)
    far = nearest(texts, benchmark, embed) if embed is not None and texts else None
    remove = shared | (rates >= tau)
    report: dict[str, Any] = {
        "documents": len(texts), "problems": len(benchmark), "13-gram": int(shared.sum()),
        "tau": {str(t): int((rates >= t).sum()) for t in TAUS},
        "same tree": int((rates >= 1).sum()), "pruned by tau": tau if tau <= 1 else None}
    if far is not None:
        remove |= far < distance
        report["distance"] = {
            "quantiles 0, 1, 10, 50 %": [round(float(q), 4) for q in np.quantile(far, [0, 0.01, 0.1, 0.5])],
            "pruned below": distance, "below": int((far < distance).sum())}
    report["removed"] = int(remove.sum())
    return [not r for r in remove], report
