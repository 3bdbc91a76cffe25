"""Exercises of small classes, from `classes.txt`:

    class Stack, ItemStack
        - a stack of items                     what it is
        = push(self, item): add an item        a method and what it does; its lines follow
            self.items.append(item)
        > s = Stack(); s.push(2); s.pop() == 2 an example worked by hand
"""
from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .table import indented
from .wordings import articles, choose, third, upper_first

PARTS = {
    "header": ["{a}.", "A class for {n}.", "Represents {n}.", "{a} with {m}.", "Class of {n}, with {m}."],
    "order": [
        "Write a class {c} for {n} with {m}.", "Write a python class {c} that represents {n}. It has {m}.",
        "Create a class {c}: {n}. Methods: {s}.", "Implement a class named {c}, {n}, with {m}.", "a class {c} for {n} with {m}"]}


@dataclass(frozen=True)
class Method:
    head: str
    does: str
    lines: list[str]

    @property
    def name(self) -> str:
        return self.head.partition("(")[0]

    def code(self, documented: str = "") -> list[str]:
        return [f"def {self.head}:", *indented([documented] if documented else []), *indented(self.lines)]


@dataclass(frozen=True)
class Class:
    names: list[str]
    what: list[str]
    methods: list[Method]
    examples: list[str]


@lru_cache
def table() -> tuple[Class, ...]:
    """Read the classes."""
    found: list[Class] = []
    for line in Path(__file__).with_name("classes.txt").read_text(encoding="utf-8").split("\n"):
        mark, text = line.strip()[:1], line.strip()[2:]
        if line.startswith("class "):
            found.append(Class(line.removeprefix("class ").split(", "), [], [], []))
        elif line[:5].strip() and mark in "-=>":
            if mark == "=":
                head, _, does = text.partition("): ")
                found[-1].methods.append(Method(head + ")", does, []))
            else:
                (found[-1].what if mark == "-" else found[-1].examples).append(text)
        elif line.strip() and line[0] != "#":
            found[-1].methods[-1].lines.append(line[8:])
    return tuple(found)


def listed(methods: list[Method], r: random.Random) -> tuple[str, str]:
    """Return the methods in a sentence, and as a list."""
    names = [m.name for m in methods if m.name != "__init__"]
    joined = ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]
    kind = "methods" if len(names) > 1 else "method"
    told = "; ".join(f"{m.name} {third(choose(r, m.does))}" for m in methods if m.name != "__init__")
    return r.choice([f"the {kind} {joined}", f"{kind} {joined}", f"these methods: {told}"]), joined


def draw(r: random.Random) -> tuple[str, str, str, str, str, str]:
    """Return family, composition, prompt, solution, name and test."""
    c = r.choice(table())
    name = r.choice(c.names)
    what = choose(r, r.choice(c.what))
    sentence, joined = listed(c.methods, r)
    words = {"a": upper_first(what), "n": what, "m": sentence, "s": joined, "c": name}
    annotated = r.random() < 0.3
    first = [f"class {name}:"]
    kind = r.choice(["method", "method", "class", "order"])
    if kind == "method":
        drawn = r.choice([m for m in c.methods if m.name != "__init__"])
        does = choose(r, drawn.does)
        text = articles(upper_first(r.choice([does, third(does)])) + ".")
        given = [m for m in c.methods if m is not drawn]
        documented = r.random() < 0.5
        lines = [f'"""{articles(words["a"])}."""', ""] if r.random() < 0.6 else []
        for m in given:
            lines += [*m.code(f'"""{articles(upper_first(choose(r, m.does)))}."""' if documented else ""), ""]
        lines += [f"def {drawn.head}:", f'    """{text}"""']
        prompt, solution = "\n".join([*first, *indented(lines)]), "\n" + "\n".join(indented(indented(drawn.lines))) + "\n"
        composition = f"{c.names[0]}.{drawn.name}"
    else:
        body = [line for m in c.methods for line in [*m.code(), ""]][:-1]
        text = articles(r.choice(PARTS["header" if kind == "class" else "order"]).format(**words))
        if kind == "class":
            prompt = "\n".join([*first, f'    """{text}"""'])
            solution = "\n" + "\n".join(indented(["", *body] if r.random() < 0.7 else body)) + "\n"
        else:
            prompt = f"# {text}" if r.random() < 0.4 else f'"""\n{text}\n"""'
            solution = "\n" + "\n".join([*first, *indented(body)]) + "\n"
        composition = c.names[0]
    prompt, solution = (re.sub(rf"\b{c.names[0]}\(", f"{name}(", text) for text in (prompt, solution))
    if annotated:
        solution = solution.replace("def __init__(self):", "def __init__(self) -> None:")
        prompt = prompt.replace("def __init__(self):", "def __init__(self) -> None:")
    return f"class {kind}", composition, prompt, solution, name, test(c)


def test(c: Class) -> str:
    """Return the examples as a test in HumanEval's form."""
    lines = []
    for example in c.examples:
        *steps, last = re.sub(rf"\b{c.names[0]}\(", "candidate(", example).split("; ")
        lines += [*steps, f"assert {last}"]
    return "\n".join(["def check(candidate):", *indented(lines)]) + "\n"
