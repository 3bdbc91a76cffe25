"""The tables of tasks: `*.txt` files of this folder, read once.

    group CHARS: chars, test                 a group of rows, whose columns `<chars>` and `<test>` stand in tasks for it
        vowels | c.lower() in "aeiou"
    count_<chars>, number_of_<chars> (text) -> int for CHARS
        - the [number|count] of <chars> in {text}     a noun phrase; [a|b] is a choice, {text} a mention of a parameter
        ! count the <chars> in {text}                 an imperative
        ? {n} is prime                                a clause, for functions that return a bool
        ~ how often are there <chars> in there?       a request as a beginner words it, which stands as it is
        + If {n} is 0, return 1.                      a note, which some wordings add
        > f("a1") == 1                                an example worked by hand
        return sum(1 for c in text if <test>)         a body; `or` stands between bodies, imports come first

A parameter is a kind of `kinds.py`, or `name/other_name:kind`. `f` is the function in bodies that call it.
"""
from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from .kinds import KINDS, Kind

HEAD = re.compile(r"([\w<>, -]+?) \(([^()]*)\) -> ([^:]+?)(?: for ([A-Z, ]+))?$")
MARKS = "-!?~+>"
ALIGNED = {
    "int": ("a|x|num1|first|m", "b|y|num2|second|n", "c|z|num3|third|k"),
    "float": ("a|x|num1|first", "b|y|num2|second", "c|z|num3|third"),
    "str": ("a|s1|str1|first|word1", "b|s2|str2|second|word2", "c|s3|str3|third|word3"),
    "tuple": ("a|t1|tup1|first|x", "b|t2|tup2|second|y", "c|t3|tup3|third|z"),
    "dict": ("a|d1|dict1|first", "b|d2|dict2|second", "c|d3|dict3|third"),
    "": ("a|list1|first|nums1|l1|xs", "b|list2|second|nums2|l2|ys", "c|list3|third|nums3|l3|zs")}


@dataclass(frozen=True)
class Parameter:
    """A parameter: its name in the table, the names to draw from, and its kind."""

    name: str
    names: list[str]
    kind: Kind
    described: bool
    """Whether the table names it, so that the text can use the name: "limit", "n"."""


@dataclass(frozen=True)
class Task:
    """A row of the tables."""

    topic: str
    names: list[str]
    parameters: list[Parameter]
    returns: str
    phrases: list[tuple[str, str]]
    """Mark and text."""
    notes: list[str]
    examples: list[str]
    bodies: list[tuple[list[str], list[str]]]
    """Imports and lines."""
    pair: str = ""
    """The names of two composed tasks."""
    helper: Task | None = None
    """The first of them, of which the first line of the body has the result."""

    @property
    def name(self) -> str:
        """The task's name, which no other task has."""
        return self.pair or f"{self.topic}.{self.names[0]}"

    def function(self, index: int) -> Callable[..., Any]:
        """Compile a body."""
        imports, lines = self.bodies[index]
        space: dict[str, Any] = {}
        source = "\n".join([*imports, f"def f({', '.join(p.name for p in self.parameters)}):", *indented(lines)])
        try:
            exec(compile(source, f"<{self.name}>", "exec"), space)  # the tables' code only
        except SyntaxError as error:
            raise ValueError(f"{self.name}: {error}") from None
        return space["f"]

    @cached_property
    def functions(self) -> list[Callable[..., Any]]:
        """The bodies, compiled."""
        return [self.function(i) for i in range(len(self.bodies))]


def indented(lines: list[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in lines]


def _parameters(text: str) -> list[Parameter]:
    found = []
    specs = [s.strip().rpartition(":") for s in text.split(",") if s.strip()]
    for names, _, kind in specs:
        if kind not in KINDS:
            raise ValueError(f"{kind}: no kind of parameter")
        own = names.split("/") if names else KINDS[kind].names.split("|")
        if names in ("a", "b", "c"):
            base = re.match(r"int|float|str|dict|tuple|", KINDS[kind].annotation)[0]
            own = ALIGNED[base]["abc".index(names)].split("|")
        name = names.split("/")[0] if names else kind
        found.append(Parameter(name, own, KINDS[kind], names not in ("", "a", "b", "c")))
    return found


def _task(topic: str, head: str, lines: list[str]) -> Task:
    match = HEAD.match(head)
    if not match:
        raise ValueError(f"{topic}.txt: not the head of a task: {head}")
    marked: dict[str, list[str]] = {m: [] for m in MARKS}
    phrases, bodies = [], [([], [])]
    for line in lines:
        if line[0] in MARKS and line[1:2] == " ":
            marked[line[0]].append(line[2:])
            if line[0] in "-!?~":
                phrases.append((line[0], line[2:]))
        elif line == "or":
            bodies.append(([], []))
        else:
            imports, body = bodies[-1]
            (imports if re.match(r"(import|from) ", line) else body).append(line)
    names = [re.sub(r"\W+", "_", n.strip()) for n in match[1].split(",")]
    return Task(topic, names, _parameters(match[2]), match[3], phrases, marked["+"], marked[">"], bodies)


def _blocks(path: Path) -> Iterator[tuple[str, list[str]]]:
    head, lines = "", []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line and not line[0].isspace():
            if head:
                yield head, lines
            head, lines = ("" if line[0] == "#" else line), []
        elif line.strip():
            lines.append(line.removeprefix("    "))
    if head:
        yield head, lines


def read(path: Path) -> Iterator[Task]:
    """Yield a table's tasks, those for groups once for each row."""
    groups: dict[str, list[dict[str, str]]] = {}
    for head, lines in _blocks(path):
        if head.startswith("group "):
            name, _, columns = head.removeprefix("group ").partition(": ")
            keys = columns.split(", ")
            groups[name] = [dict(zip(keys, map(str.strip, line.split(" | ")))) for line in lines]
            continue
        wanted = (HEAD.match(head) or [""] * 5)[4]
        for rows in itertools.product(*(groups[g] for g in (wanted or "").split(", ") if g)):
            slots = {k: v for row in rows for k, v in row.items()}

            def fill(text: str, slots: dict[str, str] = slots) -> str:
                return re.sub(r"<(\w+)>", lambda m: slots.get(m[1], m[0]), text)
            yield _task(path.stem, fill(head), [fill(line) for line in lines])


@lru_cache
def tasks() -> tuple[Task, ...]:
    """Return the tasks of all tables."""
    found = [t for path in sorted(Path(__file__).parent.glob("*.txt")) if path.stem != "classes" for t in read(path)]
    twice = [name for name, times in Counter(t.name for t in found).items() if times > 1]
    if twice:
        raise ValueError(f"tasks of the same name: {', '.join(sorted(twice))}")
    return tuple(found)
