"""What a language model is asked to write, and which of its answers are usable.

The paper's diversity comes from what the prompt asks for: a textbook page has a topic, an audience and a concept, an
exercise a function's name and a concept. Combinations are drawn without repetition until all have been used.
"""
from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator
from itertools import count
from math import prod
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from .endpoint import Answer
from .steps import name, told

TOPICS = (
    "lists", "dictionaries", "strings", "recursion", "sorting", "searching", "sets", "tuples", "files of text",
    "number systems", "primes", "matrices", "dates", "simple simulation", "graphs", "stacks and queues",
    "bit operations", "probability", "geometry", "text formatting", "loops", "conditions", "functions as values",
    "generators", "classes", "errors and their handling", "tests", "comprehensions", "trees", "dynamic programming",
    "greedy choices", "backtracking", "parsing", "regular expressions", "money and rounding", "statistics", "games",
    "compression", "simple ciphers", "binary search")
AUDIENCES = (
    "young students", "readers without a background in computing", "high school students", "engineers",
    "researchers in biology", "experienced programmers", "accountants", "musicians", "teachers", "data analysts",
    "game designers", "students before an examination")
CONCEPTS = (
    "an accumulator", "an early return", "a nested loop", "a helper function", "a default argument", "slicing",
    "unpacking", "a guard for empty input", "an invariant", "a sentinel value", "a running maximum", "two indices",
    "a sliding window", "a lookup table", "counting with a dictionary", "grouping by a key", "sorting by a key",
    "a set for membership", "integer division and remainder", "string methods", "a list as a stack",
    "a queue", "recursion with a base case", "memoisation", "a generator", "a comprehension with a condition", "zip",
    "enumerate", "any and all", "a ternary expression", "raising an error", "an assertion", "a small class",
    "an immutable value", "a loop with else", "reversing", "merging sorted data", "prefix sums", "a matrix as rows",
    "formatting of numbers")
VERBS = (
    "count", "find", "remove", "merge", "group", "sort", "check", "convert", "compare", "split", "sum", "rotate",
    "encode", "decode", "filter", "validate")
OBJECTS = (
    "words", "pairs", "digits", "neighbours", "duplicates", "intervals", "brackets", "vowels", "scores", "rows",
    "columns", "paths", "dates", "temperatures", "coins", "letters")
CONDITIONS = (
    "in order", "by length", "without repetition", "above average", "at odd places", "of equal sum", "by first letter",
    "in a window", "closest to zero", "as percentages")
SEEDS: dict[str, dict[str, tuple[str, ...]]] = {
    "textbooks": {"topic": TOPICS, "audience": AUDIENCES, "concept": CONCEPTS},
    "exercises": {"verb": VERBS, "object": OBJECTS, "condition": CONDITIONS, "concept": CONCEPTS}}


def prompt(kind: str, seed: dict[str, str]) -> str:
    """Return the request for a page or an exercise with these constraints."""
    if kind == "textbooks":
        return (
            f"Write one page of a programming textbook about {seed['topic']} for {seed['audience']}. Explain in plain "
            f"words, show a short self-contained Python function with meaningful computation that uses "
            f"{seed['concept']}, call it, and show its output. Answer with the page alone.")
    function = f"{seed['verb']}_{seed['object']}_{seed['condition'].replace(' ', '_')}"
    return (
        f"Write a Python exercise: the function `{function}` with type annotations and a docstring that says exactly "
        f"what it returns, followed by its solution, which uses {seed['concept']}. Answer with the code alone.")


def seeds(kind: str, seed: int) -> Iterator[dict[str, str]]:
    """Yield combinations in random order, none again before all have been drawn."""
    lists = SEEDS[kind]
    total = prod(map(len, lists.values()))
    for turn in count():
        for number in random.Random(f"{seed}/{turn}").sample(range(total), total):
            chosen = {}
            for key, values in lists.items():
                number, place = divmod(number, len(values))
                chosen[key] = values[place]
            yield chosen


class Requests(PipelineStep):
    """A pipeline source of requests: documents whose text is the prompt and whose metadata are its constraints."""

    name, type = "requests", "GENERATOR"

    def __init__(self, kind: str, count: int, seed: int) -> None:
        super().__init__()
        self.kind, self.count, self.seed = kind, count, seed

    def run(self, data=None, rank: int = 0, world_size: int = 1):
        def mine() -> Iterator[Document]:
            for i, chosen in zip(range(self.count), seeds(self.kind, self.seed)):
                if i % world_size == rank:
                    yield Document(
                        text=prompt(self.kind, chosen), id=f"{self.kind}-{self.seed}-{i}", metadata=dict(chosen))
        yield from told(mine(), f"{self.kind}: requests", rank)


FENCE = re.compile(r"```[^\n`]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)
CHATTER = re.compile(
    r"\A\s*(?:sure|certainly|of course|here is|here's|here are|absolutely|okay|ok)\b[^\n]*\n+", re.IGNORECASE)


def exercise_of(answer: Answer) -> str | None:
    """Return the code of an answer, without fences and without sentences around it; None unless it is a function with a
    docstring and a body."""
    parts = FENCE.findall(answer.text) or [answer.text]
    code = CHATTER.sub("", "\n\n".join(p.strip("\n") for p in parts).lstrip(), count=1).strip() + "\n"
    if not answer.whole or "```" in code:
        return None
    functions = [n for n in _parsed(code) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    good = [f for f in functions if ast.get_docstring(f) and not _idle(f.body[1:])]
    return code if good else None


def page_of(answer: Answer) -> str | None:
    """Return the page of an answer, without a sentence before it or a fence around it; None if it is short, was cut off
    or shows no function."""
    text = CHATTER.sub("", answer.text.strip(), count=1).strip()
    if whole := re.fullmatch(r"```(?:markdown|md|text)?\n(.*)\n```", text, re.DOTALL):
        text = whole[1].strip()
    shown = any(_parsed(part) for part in FENCE.findall(text)) or re.search(r"^\s*def \w+\(", text, re.M)
    return text + "\n" if answer.whole and len(text) >= 200 and shown else None


def _parsed(code: str) -> list[ast.stmt]:
    try:
        return ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _idle(body: list[ast.stmt]) -> bool:
    """Whether a body computes nothing: it is empty, or only pass and ..."""
    return all(
        isinstance(s, ast.Pass) or isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) for s in body)


TAKEN = {"textbooks": page_of, "exercises": exercise_of}


def request(document: Any) -> str:
    return document.text


class Written:
    """The text of a request's answer as a document."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __call__(self, document: Any, answer: Answer) -> Document | None:
        text = TAKEN[self.kind](answer)
        if text is None or re.search("[\ud800-\udfff]", text):  # half of a surrogate pair is no text
            return None
        return Document(text=text, id=name(text), metadata=dict(document.metadata))
