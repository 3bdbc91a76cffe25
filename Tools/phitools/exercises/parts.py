"""The types of the grammar's parts.

Each part has words, code, and a meaning: a Python function for the reference. Wherever possible, the meaning is written
differently from the code.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .draw import Draw, Env


@dataclass(frozen=True)
class Predicate:
    """A property of an element."""

    kind: str
    singular: str
    """Verb phrase after "a number that": "is even", "starts with 'a'"."""
    plural: str
    """Verb phrase after "numbers that": "are even", "start with 'a'"."""
    adjective: str
    """Adjective before "numbers", or empty."""
    code: Callable[[str], str]
    """Returns the condition for a variable or an attribute access."""
    meaning: Callable[[Any, Env], bool]
    slug: str
    """Part of function names: "even", "longer"."""


@dataclass(frozen=True)
class Map:
    """A change of an element."""

    kind: str
    plural: str
    """Noun in "the ... of the numbers": "squares"."""
    singular: str
    """Noun in "the ... of n": "square"."""
    verb: str
    """Imperative in "take n, ...": "square it"; may be empty."""
    code: Callable[[str], str]
    meaning: Callable[[Any, Env], Any]
    slug: str
    result: str
    """"int" or "str"."""


@dataclass(frozen=True)
class Source:
    """A source of elements: its words, the code of the iterable, and the elements of a call."""

    kind: str
    noun: str
    """Plural: "numbers"."""
    one: str
    """Singular: "number"."""
    place: str
    """Phrase after "the even numbers": "in `values`", "from 1 to n"."""
    iterable: str
    element: str
    """"int", "str" (a word) or "char"."""
    elements: Callable[[Env], list[Any]]
    variable: str
    nested: str = ""
    """The iterable of the outer loop for nested lists: `for row in {nested}: for x in row`."""
    slug: str = ""


VERBS = {
    "square": "square it", "cube": "cube it", "double": "double it", "triple": "triple it", "negation": "negate it",
    "absolute": "take its absolute value",
    "plus": "add $k", "minus": "subtract $k", "times": "multiply by $k",
    "remainder": "take the remainder divided by $k", "half": "halve it, rounding down",
    "digit": "take its last digit", "upper": "convert it to upper case", "lower": "convert it to lower case",
    "capitalized": "capitalize it",
    "reversed": "reverse it", "doubled": "repeat it twice", "suffixed": "append $k", "prefixed": "put $k in front",
    "first": "take the first $k characters",
    "last": "take the last $k characters"}

PredicateRule = Callable[[Draw], Predicate]
MapRule = Callable[[Draw], Map]
SourceRule = Callable[[Draw], Source]


def atom(code: str) -> str:
    """Parenthesise an expression that binds less tightly than a call."""
    if all(c.isalnum() or c in "_.[]'" for c in code):
        return code
    depth, start = 0, code.find("(")
    for i, c in enumerate(code):
        depth += (c in "([") - (c in ")]")
        if (depth == 0 and (c == " " or (i > start and c in "-+*/%"))) or c == "'":
            return f"({code})"
    return code if (start > 0 and all(
        c.isalnum() or c in "_." for c in code[:start])) or ("[" in code and " " not in code.split("[")[
        0] and start < 0) else f"({code})"
