"""Annotation of a file's educational value, by the paper's question to a language model or by a rule.

The rule's score is the mean of four scores between 0 and 1 (`score_parts`); from `VALUABLE` on, a document is labelled
valuable.
"""
from __future__ import annotations

import ast
import hashlib
import re
from dataclasses import dataclass
from typing import Any

from datatrove.pipeline.base import PipelineStep

from .endpoint import Answer

VALUABLE = 0.65
"""The rule's threshold; about a quarter of the standard library and installed packages reach it."""

QUESTION = (
    "Determine its educational value for a student whose goal is to learn basic coding concepts. "
    "Answer with one word, yes or no.")
"""The paper's instruction, which follows the file."""


def score_parts(text: str) -> dict[str, float]:
    """Return the four scores of the rule, all zero for a file that does not parse.

    - self-contained: share of used names that are builtins or defined in this file; imports count half;
    - documented: share of functions and classes with a docstring;
    - meaningful: loops, conditions, arithmetic and comparisons per statement, saturating at one half; zero for tables
      of data;
    - simple: share of function bodies of 2 to 25 lines, halved by deep nesting.
"""
    zero = {"self-contained": 0.0, "documented": 0.0, "meaningful": 0.0, "simple": 0.0}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return zero
    nodes = list(ast.walk(tree))
    functions = [n for n in nodes if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    if not functions:
        return zero
    imported = {
        (a.asname or a.name).split(".")[0] for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom))
        for a in n.names}
    import builtins
    own = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)} | {
        n.arg for n in nodes if isinstance(n, ast.arg)} \
        | {n.name for n in nodes if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))} | set(
        dir(builtins))
    used = [n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    contained = sum(1.0 if u in own else 0.5 if u in imported else 0.0 for u in used) / max(1, len(used))
    dotted = sum(isinstance(n, ast.Attribute) for n in nodes) / max(1, len(used))
    owners = functions + [n for n in nodes if isinstance(n, ast.ClassDef)]
    documented = sum(ast.get_docstring(o) is not None for o in owners) / len(owners)
    statements = sum(isinstance(n, ast.stmt) for n in nodes)
    working = sum(
        isinstance(n, (ast.For, ast.While, ast.If, ast.BinOp, ast.Compare, ast.comprehension, ast.AugAssign))
        for n in nodes)
    constants = sum(isinstance(n, ast.Constant) for n in nodes) / max(1, len(nodes))
    lengths = [(f.end_lineno or f.lineno) - f.lineno for f in functions]
    simple = sum(2 <= n <= 25 for n in lengths) / len(lengths)
    depth = max((len(line) - len(line.lstrip()) for line in text.splitlines()), default=0)
    return {"self-contained": max(0.0, contained - 0.5 * max(0.0, dotted - 0.5)), "documented": documented,
            "meaningful": min(1.0, 2 * working / max(1, statements)) * (constants < 0.25),
            "simple": simple * (1.0 if depth <= 20 else 0.5)}


def rule_score(text: str) -> float:
    """Return the rule's score, 0 to 1."""
    parts = score_parts(text)
    return round(sum(parts.values()) / len(parts), 4)


@dataclass(frozen=True)
class Sample:
    """The documents to label: those whose ids, hashed with a seed, come first. The others pass without a label."""

    seed: int
    limit: int = 1 << 64
    """The hash from which on a document is not labelled."""

    @classmethod
    def of(cls, ids: list[str], count: int, seed: int) -> Sample:
        """Return the sample of `count` ids; of all with a count of 0."""
        ranks = sorted(cls(seed).rank(i) for i in ids)
        return cls(seed, ranks[count]) if 0 < count < len(ranks) else cls(seed)

    def rank(self, identifier: str) -> int:
        return int(hashlib.sha256(f"{self.seed}/{identifier}".encode()).hexdigest()[:16], 16)

    def __contains__(self, identifier: str) -> bool:
        return self.rank(identifier) < self.limit


class Rule(PipelineStep):
    """A pipeline step that adds `score` and `label` (1: valuable, 0: not) by the rule to the documents of a sample."""

    name, type = "rule", "ANNOTATE"

    def __init__(self, sample: Sample) -> None:
        super().__init__()
        self.sample = sample

    def run(self, data=None, rank: int = 0, world_size: int = 1):
        for document in data or ():
            if document.id in self.sample:
                score = rule_score(document.text)
                document.metadata |= {"score": score, "label": int(score >= VALUABLE)}
            yield document


def answer_label(answer: str) -> int | None:
    """Return 1 for yes, 0 for no, None for any other answer."""
    found = re.findall(r"\b(yes|no)\b", answer.lower())
    return None if not found else int(found[0] == "yes")


@dataclass(frozen=True)
class Question:
    """The paper's question about each document of a sample."""

    sample: Sample

    def __call__(self, document: Any) -> str | None:
        return f"```python\n{document.text}\n```\n{QUESTION}" if document.id in self.sample else None


def labelled(document: Any, answer: Answer) -> Any:
    """Return the document with the answer's label, None for an answer that is neither yes nor no."""
    if (label := answer_label(answer.text)) is None:
        return None
    document.metadata["label"] = label
    return document
