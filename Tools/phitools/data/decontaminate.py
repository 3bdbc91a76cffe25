"""Removal of documents similar to a benchmark (HumanEval, MBPP, held-out exercises), by the paper's three measures of
section 5.

- 13-grams: documents that share 13 consecutive words with a benchmark's prompt are removed.
- Embeddings: the distance of normalised embeddings to the nearest problem is reported; documents below `--distance`
  are removed.
- Syntax trees: the match rate (1 - edit distance / longer length) between a document's functions and the nearest
  solution. The report counts the documents at each tau of 0.95, 0.9, 0.85 and 0.8; those at `--tau` are removed.

`problems.jsonl` tells how near each problem's nearest document is; `phitools.experiment.pruned` tells scores apart by
it.
"""
from __future__ import annotations

import ast
import gzip
import json
import re
import warnings
import zlib
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
    """Read JSONL of HumanEval or MBPP, optionally gzipped; raise ValueError for a line of neither format."""
    opened: Any = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as f:
            lines = list(f)
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: is damaged ({error}); fetch it again") from None
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                d = json.loads(line)
                if "canonical_solution" in d:
                    found.append(
                        Problem(path.name, str(d["task_id"]), d["prompt"], d["prompt"] + d["canonical_solution"]))
                else:
                    found.append(Problem(path.name, str(d["task_id"]), d["text"], d["code"]))
                if not all(isinstance(text, str) for text in (found[-1].prompt, found[-1].solution)):
                    raise TypeError("a text is no string")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise ValueError(
                    f"{path}, line {number}: not a problem of HumanEval or MBPP ({type(error).__name__}: {error})"
                ) from None
    if not found:
        raise ValueError(f"{path}: holds no problem")
    return found


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9_]+", text.lower())


def grams(text: str) -> set[str]:
    """Return the text's word 13-grams."""
    w = words(text)
    return {" ".join(w[i:i + WORDS]) for i in range(len(w) - WORDS + 1)}


class _Signs:
    """An encoder of syntax trees as strings with a character per node, for computing edit distances."""

    def __init__(self) -> None:
        self.table: dict[str, str] = {}
        self.closed = False
        """Whether kinds that have no character get the same one: those of the solutions match none of them anyway."""

    def sign(self, kind: str) -> str:
        if self.closed:
            return self.table.get(kind, "?")
        return self.table.setdefault(kind, chr(0x100 + len(self.table)))

    def of(self, node: ast.AST) -> str:
        """Encode the kinds of a tree's nodes in order, with constants and called names, without variable names."""
        out = []
        for n in ast.walk(node):
            if isinstance(n, (ast.expr_context, ast.arguments)):
                continue
            kind = type(n).__name__
            if isinstance(n, ast.Constant):
                kind += hex(n.value) if type(n.value) is int else repr(n.value)  # Python refuses long decimals
            elif isinstance(n, ast.Attribute):
                kind += n.attr
            elif isinstance(n, ast.Call) and isinstance(n.func, ast.Name):
                kind += n.func.id
            out.append(self.sign(kind))
        return "".join(out)

    def functions(self, text: str) -> list[str]:
        """Encode the body of each function without its docstring; in text that does not parse, of each block that
        begins with "def"."""
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


def match_rates(
        texts: list[str], benchmark: list[Problem], least: float = min(TAUS)) -> tuple[np.ndarray, np.ndarray]:
    """Return each text's largest match rate between its functions and the solutions, and each problem's with any text;
    0 if it is below `least` and every tau. float32 [texts], [problems]"""
    signs = _Signs()
    of_problems = [signs.functions(p.solution) for p in benchmark]
    signs.closed = True
    solutions = sorted({f for found in of_problems for f in found})
    having: dict[str, list[int]] = {}  # texts by function, of which many have the same
    for i, text in enumerate(texts):
        for f in signs.functions(text):
            having.setdefault(f, []).append(i)
    functions = list(having)
    best, nearest = np.zeros(len(texts), np.float32), np.zeros(len(solutions), np.float32)
    for start in range(0, len(functions) if solutions else 0, 2048):
        part = functions[start:start + 2048]
        rates = cdist(
            part, solutions, scorer=Levenshtein.normalized_similarity, score_cutoff=max(0.0, min(least, *TAUS) - 0.01),
            dtype=np.float32)
        nearest = np.maximum(nearest, rates.max(0, initial=0))
        for function, rate in zip(part, rates.max(1, initial=0)):
            where = having[function]
            best[where] = np.maximum(best[where], rate)
    place = {s: i for i, s in enumerate(solutions)}
    return best, np.array([max((nearest[place[f]] for f in found), default=0) for found in of_problems], np.float32)


def distances(texts: Iterable[str], benchmark: list[Problem], embed: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of each text's normalised embedding to the nearest problem, and of each problem's to the
    nearest text. float32 [texts], [problems]"""
    def unit(v: np.ndarray) -> np.ndarray:
        return v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-9)
    a, b = unit(embed(texts)), unit(embed(p.solution for p in benchmark))
    best, nearest = np.full(len(a), -1, np.float32), np.full(len(b), -1, np.float32)
    for start in range(0, len(a), 2048):
        cosines = a[start:start + 2048] @ b.T
        best[start:start + 2048] = cosines.max(1)
        nearest = np.maximum(nearest, cosines.max(0))
    return tuple(np.sqrt(np.maximum(0, 2 - 2 * c)) for c in (best, nearest))


def judge(texts: list[str], benchmark: list[Problem], tau: float, distance: float, embed: Any = None) -> tuple[
        list[bool], dict[str, Any], list[dict[str, Any]]]:
    """Return whether to keep each text, a report, and how near the nearest text is to each problem. A tau above 1 or a
    distance of 0 disables its measure."""
    forbidden = set().union(*(grams(p.prompt) for p in benchmark)) if benchmark else set()
    shared = np.array([not forbidden.isdisjoint(grams(t)) for t in texts], bool)
    rates, matches = match_rates(texts, benchmark, tau)
    near = [
        {"benchmark": p.benchmark, "task_id": p.id, "match": round(float(m), 4)} for p, m in zip(benchmark, matches)]
    far = None
    if embed is not None and texts and benchmark:
        far, nearest = distances(texts, benchmark, embed)
        near = [d | {"distance": round(float(x), 4)} for d, x in zip(near, nearest)]
    close = np.zeros(len(texts), bool) if far is None else far < distance
    remove = shared | (rates >= tau) | close
    report: dict[str, Any] = {
        "documents": len(texts), "problems": len(benchmark), "13-gram": int(shared.sum()),
        "tau": {str(t): int((rates >= t).sum()) for t in TAUS},
        "removed at tau": {str(t): int((shared | (rates >= t) | close).sum()) for t in TAUS},
        "similar problems at tau": {str(t): int((matches >= t).sum()) for t in TAUS},
        "same tree": int((rates >= 1).sum()), "pruned by tau": tau if tau <= 1 else None}
    if far is not None:
        report["distance"] = {
            "quantiles 0, 1, 10, 50 %": [round(float(q), 4) for q in np.quantile(far, [0, 0.01, 0.1, 0.5])],
            "pruned below": distance, "below": int((far < distance).sum())}
    report["removed"] = int(remove.sum())
    return [not r for r in remove], report, near
