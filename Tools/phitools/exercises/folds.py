"""Folds of the chosen and changed elements: sums, counts, lists, searches."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .draw import Draw
from .parts import Source


@dataclass(frozen=True)
class Loop:
    """A source, an optional condition and an element expression, for writing a loop or a comprehension."""

    source: Source
    condition: str
    element: str

    def generator(self) -> str:
        """Return a generator expression, such as `x ** 2 for x in xs if x > 0`."""
        s = self.source
        head = f"for row in {s.nested} for {s.variable} in row" if s.nested else f"for {s.variable} in {s.iterable}"
        return f"{self.element} {head}" + (f" if {self.condition}" if self.condition else "")

    def plain(self) -> bool:
        """Return whether the elements are the source's, unfiltered and unchanged."""
        return not self.condition and self.element == self.source.variable and not self.source.nested

    def statement(self, start: list[str], inside: list[str], end: list[str], enumerated: bool = False) -> str:
        """Return a `for` statement with lines before, inside (under the condition) and after it."""
        s, lines = self.source, list(start)
        if s.nested:
            lines += [f"for row in {s.nested}:", f"    for {s.variable} in row:"]
            indent = "        "
        elif enumerated:
            lines, indent = lines + [f"for i, {s.variable} in enumerate({s.iterable}):"], "    "
        else:
            lines, indent = lines + [f"for {s.variable} in {s.iterable}:"], "    "
        if self.condition:
            lines.append(f"{indent}if {self.condition}:")
            indent += "    "
        return "\n".join(lines + [indent + i for i in inside] + end)


@dataclass(frozen=True)
class Fold:
    """A fold: words around the set, a body, the meaning, and the kind of elements it takes."""

    kind: str
    words: str
    """Alternative wordings, with `$s` for the set: "Return the sum of $s"."""
    note: str
    """A second sentence, or empty."""
    returns: str
    """The return type, with "$e" for the element's type."""
    body: Callable[[Draw, Loop], str]
    meaning: Callable[[list[Any]], Any]
    takes: str
    """Accepted types of elements: "int", "str", or both."""
    slug: str
    changes: bool = True
    """Whether the elements may be mapped."""
    filtered: bool = False
    """Whether it needs a predicate."""


def acc(d: Draw, names: str) -> str:
    return d.name(names)


def _sum(d: Draw, l: Loop) -> str:
    if d.chance(0.5):
        return f"return sum({l.source.iterable})" if l.plain() else f"return sum({l.generator()})"
    t = acc(d, "total|result|total")
    return l.statement([f"{t} = 0"], [f"{t} += {l.element}"], [f"return {t}"])


def _product(d: Draw, l: Loop) -> str:
    t = acc(d, "product|result|product")
    return l.statement([f"{t} = 1"], [f"{t} *= {l.element}"], [f"return {t}"])


def _count(d: Draw, l: Loop) -> str:
    if d.chance(0.5):
        return f"return sum(1 {l.generator().removeprefix(l.element + ' ')})"
    t = acc(d, "count|count|total")
    return l.statement([f"{t} = 0"], [f"{t} += 1"], [f"return {t}"])


def _extreme(function: str, operator: str) -> Callable[[Draw, Loop], str]:
    def body(d: Draw, l: Loop) -> str:
        if d.chance(0.5):
            inner = l.source.iterable if l.plain() else f"({l.generator()})"
            return f"return {function}({inner}, default=None)"
        b = acc(d, "best|result|best")
        if l.element == l.source.variable:
            return l.statement(
                [f"{b} = None"], [f"if {b} is None or {l.element} {operator} {b}:", f"    {b} = {l.element}"],
                [f"return {b}"])
        v = acc(d, "current|y|candidate")
        return l.statement(
            [f"{b} = None"], [f"{v} = {l.element}", f"if {b} is None or {v} {operator} {b}:", f"    {b} = {v}"],
            [f"return {b}"])
    return body


def _by_length(function: str, operator: str) -> Callable[[Draw, Loop], str]:
    def body(d: Draw, l: Loop) -> str:
        if d.chance(0.5):
            inner = l.source.iterable if l.plain() else f"({l.generator()})"
            return f"return {function}({inner}, key=len, default=None)"
        b = acc(d, "best|result|best")
        return l.statement(
            [f"{b} = None"], [f"if {b} is None or len({l.element}) {operator} len({b}):", f"    {b} = {l.element}"],
            [f"return {b}"])
    return body


def _chosen(last: str, empty: str) -> Callable[[Draw, Loop], str]:
    def body(d: Draw, l: Loop) -> str:
        c = acc(d, "chosen|selected|found|picked")
        tail = [f"if not {c}:", f"    return {empty}", last.replace("$c", c)]
        if d.chance(0.5):
            return "\n".join([f"{c} = [{l.generator()}]"] + tail)
        return l.statement([f"{c} = []"], [f"{c}.append({l.element})"], tail)
    return body


def _list(d: Draw, l: Loop) -> str:
    if d.chance(0.6):
        return f"return [{l.generator()}]"
    t = acc(d, "result|out|found|result")
    return l.statement([f"{t} = []"], [f"{t}.append({l.element})"], [f"return {t}"])


def _sorted(reverse: str) -> Callable[[Draw, Loop], str]:
    def body(d: Draw, l: Loop) -> str:
        if d.chance(0.7):
            inner = l.source.iterable if l.plain() else (f"[{l.generator()}]" if reverse else l.generator())
            return f"return sorted({inner}{reverse})"
        t = acc(d, "result|out|found")
        return l.statement([f"{t} = []"], [f"{t}.append({l.element})"], [f"return sorted({t}{reverse})"])
    return body


def _distinct(d: Draw, l: Loop) -> str:
    if d.chance(0.5):
        return f"return len(set({l.source.iterable}))" if l.plain() else f"return len({{{l.generator()}}})"
    t = acc(d, "seen|found")
    return l.statement([f"{t} = set()"], [f"{t}.add({l.element})"], [f"return len({t})"])


def _first(d: Draw, l: Loop) -> str:
    return l.statement([], [f"return {l.element}"], ["return None"])


def _last(d: Draw, l: Loop) -> str:
    t = acc(d, "result|found|last")
    return l.statement([f"{t} = None"], [f"{t} = {l.element}"], [f"return {t}"])


def _join(separator: str) -> Callable[[Draw, Loop], str]:
    def body(d: Draw, l: Loop) -> str:
        if d.chance(0.6) or separator != "''":
            return f"return {separator}.join({l.source.iterable if l.plain() else l.generator()})"
        t = acc(d, "result|out|result")
        return l.statement([f"{t} = ''"], [f"{t} += {l.element}"], [f"return {t}"])
    return body


def _product_of(v: list[int]) -> int:
    return v[0] * _product_of(v[1:]) if v else 1


LIST_WORDS = "Return a list of $s.|Return the list of $s.|Collect $s in a list.|Return $s as a list.|List $s."
FOLDS: dict[str, Fold] = {f.kind: f for f in [
    Fold(
        "sum", "Return the sum of $s.|Compute the sum of $s.|Calculate the sum of $s.|Add up $s.", "", "int", _sum, sum,
        "int", "sum"),
    Fold(
        "product", "Return the product of $s.|Compute the product of $s.|Multiply $s together.", "", "int", _product,
        _product_of, "int", "product"),
    Fold(
        "count", "Count $s.|Return the number of $s.|Return how many $n there are.", "", "int", _count, len,
        "int str char", "count", changes=False, filtered=True),
    Fold(
        "largest", "Return the largest of $s.|Find the largest of $s.|Return the maximum of $s.",
        "Return None if there are none.", "int | None", _extreme("max", ">"), lambda v: sorted(v)[-1] if v else None,
        "int", "largest"),
    Fold(
        "smallest", "Return the smallest of $s.|Find the smallest of $s.|Return the minimum of $s.",
        "Return None if there are none.", "int | None", _extreme("min", "<"), lambda v: sorted(v)[0] if v else None,
        "int", "smallest"),
    Fold(
        "average", "Return the average of $s.|Compute the mean of $s.", "Return 0 if there are none.", "float",
        _chosen("return sum($c) / len($c)", "0"), lambda v: sum(v) / len(v) if v else 0, "int", "average"),
    Fold(
        "spread", "Return the difference between the largest and the smallest of $s.", "Return 0 if there are none.",
        "int", _chosen("return max($c) - min($c)", "0"), lambda v: sorted(v)[-1] - sorted(v)[0] if v else 0, "int",
        "spread"),
    Fold("list", LIST_WORDS, "", "list[$e]", _list, list, "int str char", "list"),
    Fold(
        "ascending", "Return $s in ascending order.|Return a sorted list of $s.|Sort $s.", "", "list[$e]", _sorted(""),
        sorted, "int str", "sorted"),
    Fold(
        "descending", "Return $s in descending order.|Return a list of $s, sorted in descending order.", "", "list[$e]",
        _sorted(", reverse=True"), lambda v: sorted(v)[::-1], "int str", "descending"),
    Fold(
        "distinct", "Count the distinct values among $s.|Return the number of distinct values among $s.", "", "int",
        _distinct, lambda v: sum(x not in v[:i] for i, x in enumerate(v)), "int str char", "distinct"),
    Fold(
        "first", "Return the first of $s.|Find the first of $s.", "Return None if there are none.", "$e | None", _first,
        lambda v: v[0] if v else None, "int str char", "first", filtered=True),
    Fold(
        "last", "Return the last of $s.|Find the last of $s.", "Return None if there are none.", "$e | None", _last,
        lambda v: v[-1] if v else None, "int str char", "last", filtered=True),
    Fold(
        "longest", "Return the longest of $s.|Find the longest of $s.", "Return None if there are none.", "str | None",
        _by_length("max", ">"), lambda v: sorted(v, key=lambda w: -len(w))[0] if v else None, "str", "longest"),
    Fold(
        "shortest", "Return the shortest of $s.|Find the shortest of $s.", "Return None if there are none.",
        "str | None", _by_length("min", "<"), lambda v: sorted(v, key=len)[0] if v else None, "str", "shortest"),
    Fold(
        "text", "Join $s into one string.|Return $s as one string.|Return a string of $s.", "", "str", _join("''"),
        "".join, "str char", "join"),
    Fold(
        "spaced", "Join $s with spaces.|Return $s joined with spaces.", "", "str", _join("' '"), " ".join, "str char",
        "join"),
    Fold(
        "dashed", "Join $s with dashes.|Return $s joined with dashes.", "", "str", _join("'-'"), "-".join, "str char",
        "join"),
    Fold(
        "commas", "Join $s with commas.|Return $s joined with commas.", "", "str", _join("','"), ",".join, "str char",
        "join"),
]}
