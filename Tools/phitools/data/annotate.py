"""Is a file of educational value? The paper's question to a language model behind an endpoint, or a documented rule
without one.

The rule's score is the mean of four parts, each between 0 and 1 (`score_parts`); a document is labelled valuable at
`VALUABLE` or more.
"""
from __future__ import annotations

import ast
import re
from typing import Any

from datatrove.pipeline.base import PipelineStep

VALUABLE = 0.65
"""Where the rule says yes: about a quarter of the standard library and installed packages."""

QUESTION = (
    "Determine its educational value for a student whose goal is to learn basic coding concepts. "
    "Answer with one word, yes or no.")
"""The paper's instruction, after the file."""


def score_parts(text: str) -> dict[str, float]:
    """Four parts of the rule. A file that does not parse has zero everywhere.

    - self-contained: share of the names that functions use which are their own, builtins or defined in this file, with
      imports counting half;
    - documented: share of functions and classes with a docstring;
    - meaningful: loops, conditions, arithmetic and comparisons per statement, none of it in tables of data (saturates
      at one in two);
    - simple: function bodies of 2 to 25 lines and shallow nesting.
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
    """Between 0 and 1."""
    parts = score_parts(text)
    return round(sum(parts.values()) / len(parts), 4)


class Rule(PipelineStep):
    """Adds `score` and `label` (1 valuable, 0 not) by the rule."""

    name, type = "rule", "ANNOTATE"

    def run(self, data=None, rank: int = 0, world_size: int = 1):
        for document in data or ():
            score = rule_score(document.text)
            document.metadata |= {"score": score, "label": int(score >= VALUABLE)}
            yield document


def answer_label(answer: str) -> int | None:
    """1 for yes, 0 for no, None where the answer is neither."""
    found = re.findall(r"\b(yes|no)\b", answer.lower())
    return None if not found else int(found[0] == "yes")


async def ask(document: Any, generate: Any) -> Any:
    """datatrove's rollout: the file and the paper's question; the answer's label."""
    result = await generate(
        {
            "messages": [{"role": "user", "content": f"```python\n{document.text}\n```\n{QUESTION}"}], "max_tokens": 4,
            "temperature": 0.0})
    label = answer_label(result.text)
    return None if label is None else {"label": label, "answer": result.text}
