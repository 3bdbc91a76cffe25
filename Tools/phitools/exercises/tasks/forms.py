"""The forms of a prompt: HumanEval's (signature and docstring), MBPP's (text and asserts), comments, a bare signature."""
from __future__ import annotations

import random
import re
import textwrap
from dataclasses import dataclass, field
from typing import Any

from .table import indented

TYPING = {"list": "List", "dict": "Dict", "tuple": "Tuple", "set": "Set"}


def show(value: Any) -> str:
    """Return a literal; sets in order."""
    if isinstance(value, (set, frozenset)) and value:
        return "{" + ", ".join(sorted(map(show, value))) + "}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {show(v)}" for k, v in value.items()) + "}"
    if type(value) in (list, tuple):
        inner = ", ".join(map(show, value)) + ("," if type(value) is tuple and len(value) == 1 else "")
        return f"[{inner}]" if type(value) is list else f"({inner})"
    return repr(value)


@dataclass
class Function:
    """A function to be asked for."""

    name: str
    parameters: list[tuple[str, str]]
    """Name and annotation."""
    returns: str
    imports: list[str]
    lines: list[str]
    """The body."""
    calls: list[tuple[Any, ...]]
    answers: list[Any]
    before: list[str] = field(default_factory=list)
    """The lines of another function, which this one calls."""

    def call(self, index: int, name: str = "") -> str:
        return f"{name or self.name}({', '.join(map(show, self.calls[index]))})"

    def head(self, annotated: bool) -> str:
        if annotated:
            return f"def {self.name}({', '.join(f'{n}: {t}' for n, t in self.parameters)}) -> {self.returns}:"
        return f"def {self.name}({', '.join(n for n, _ in self.parameters)}):"

    def whole(self) -> str:
        """Return imports, the other function and this one without annotations."""
        parts = [self.imports, self.before, [self.head(False), *indented(self.lines)]]
        return "\n\n\n".join("\n".join(p) for p in parts if p) + "\n"

    @property
    def test(self) -> str:
        """The test in HumanEval's form."""
        calls = (f"    assert {self.call(i, 'candidate')} == {show(a)}\n" for i, a in enumerate(self.answers))
        return "def check(candidate):\n" + "".join(calls)


def wrapped(text: str, width: int = 76) -> list[str]:
    return [line for part in text.split("\n") for line in (textwrap.wrap(part, width, break_long_words=False) or [""])]


def _examples(r: random.Random, f: Function) -> list[str]:
    """Return lines with up to three calls and their results, in one of the usual notations."""
    usable = [i for i, a in enumerate(f.answers) if len(f.call(i)) + len(show(a)) < 76]
    some = usable[:r.choice([1, 1, 2, 2, 3])]
    kind = r.randrange(7)
    if not some:
        return []
    calls = [(f.call(i), show(f.answers[i])) for i in some]
    if kind < 3:
        return [line for c, a in calls for line in (f">>> {c}", a)]
    if kind == 3:
        return ["For example:", *(f"{c} == {a}" for c, a in calls)]
    if kind == 4:
        return ["Example:" if len(calls) == 1 else "Examples:", *(f"{c} -> {a}" for c, a in calls)]
    if kind == 5:
        return [f"{c} {r.choice(['=>', '➞', '# =>'])} {a}" for c, a in calls]
    return [f"For example, {c} {r.choice(['returns', 'should return', 'is'])} {a}." for c, a in calls[:1]]


def docstring(r: random.Random, f: Function, text: str, examples: float) -> list[str]:
    """Return the lines of a docstring, in one of the usual layouts, with examples at this rate."""
    shown = _examples(r, f) if r.random() < examples else []
    quotes = "'''" if r.random() < 0.04 else '"""'
    lines = wrapped(text)
    if r.random() < 0.05 and f.parameters:
        shown = ["Args:", *(f"    {n}: {t}" for n, t in f.parameters), "", "Returns:", f"    {f.returns}"]
    layout = r.randrange(8)
    if len(lines) == 1 and not shown:
        if layout < 5:
            return [f"{quotes}{text}", quotes] if text.endswith(quotes[0]) else [f"{quotes}{text}{quotes}"]
        return [f"{quotes} {text}", quotes] if layout < 7 else [quotes, text, quotes]
    gap = [""] if shown and r.random() < 0.5 else []
    body = [*lines, *gap, *shown]
    if layout < 4:
        return [quotes + body[0], *body[1:], quotes]
    return [f"{quotes} {body[0]}", *body[1:], quotes] if layout < 6 else [quotes, *body, quotes]


def _typed(r: random.Random, f: Function) -> tuple[str, list[str]]:
    """Return the signature and the line of its import, with `list` or `List`, or without annotations."""
    head = f.head(r.random() < 0.55)
    used = sorted({TYPING[w] for w in re.findall(r"\b(list|dict|tuple|set)\b", head.partition(":")[0] + head)
                   if re.search(rf"(: |-> |\[){w}\b", head)})
    if not used or r.random() < 0.4:
        return head, []
    for small, large in TYPING.items():
        head = re.sub(rf"(?<=: ){small}\b|(?<=-> ){small}\b|(?<=\[){small}\b", large, head)
    return head, [f"from typing import {', '.join(used)}"]


def signature(r: random.Random, f: Function, text: str) -> tuple[str, str]:
    """HumanEval's form."""
    head, imports = _typed(r, f)
    above = [*imports, *(f.imports if r.random() < 0.5 else [])]
    rest = [i for i in f.imports if i not in above]
    inside = docstring(r, f, text, 0.4)
    prompt = "\n\n\n".join("\n".join(p) for p in (above, f.before, [head, *indented(inside)]) if p)
    lead = [*rest, *([""] if rest and r.random() < 0.3 else [])]
    return prompt, "\n" + "\n".join(indented([*lead, *f.lines])) + "\n"


def _spelled(r: random.Random, text: str) -> str:
    """Return an assert as people write them: other quotes, spaces left out."""
    kind = r.randrange(6)
    if kind == 0 and '"' not in text:
        text = text.replace("'", '"')
    return text.replace(", ", ",") if kind in (1, 2) else text


def asserts(r: random.Random, f: Function, text: str) -> tuple[str, str]:
    """MBPP's form: the whole function after text and asserts."""
    usable = [i for i, a in enumerate(f.answers) if len(f.call(i)) + len(show(a)) < 110]
    some = usable[:r.choice([1, 2, 3, 3, 3])]
    space = r.choice(["==", " == ", " == ", " == "])
    lines = [_spelled(r, f"assert {f.call(i)}") + f"{space}{show(f.answers[i])}" for i in some]
    return "\n".join(['"""', text, *lines, '"""']), "\n" + f.whole()


def comment(r: random.Random, f: Function, text: str) -> tuple[str, str]:
    """A comment above the signature."""
    head, imports = _typed(r, f)
    above = [*imports, *f.imports]
    parts = (above, f.before, [*("# " + line for line in wrapped(text)), head])
    return "\n\n\n".join("\n".join(p) for p in parts if p), "\n" + "\n".join(indented(f.lines)) + "\n"


def request(r: random.Random, f: Function, text: str) -> tuple[str, str]:
    """A comment or docstring alone, naming the function."""
    named = f"{text} {r.choice(['Name it', 'Call it', 'The function is called', 'The name is'])} {f.name}."
    if not text.rstrip().endswith((".", "?")):
        named = f"{text}, called {f.name}"
    if r.random() < 0.5:
        return "\n".join("# " + line for line in wrapped(named)), "\n" + f.whole()
    return "\n".join(['"""', *wrapped(named), '"""']), "\n" + f.whole()


def bare(r: random.Random, f: Function, text: str) -> tuple[str, str]:
    """A signature alone: the function's name says it."""
    head, imports = _typed(r, f)
    parts = ([*imports, *f.imports], f.before, [head])
    return "\n\n\n".join("\n".join(p) for p in parts if p), "\n" + "\n".join(indented(f.lines)) + "\n"


FORMS = {"signature": signature, "asserts": asserts, "comment": comment, "request": request, "bare": bare}
WEIGHTS = {"signature": 52, "asserts": 30, "comment": 9, "request": 5, "bare": 4}
NAMED = {"signature", "comment"}
"""The forms in which the parameters' names are known before the text ends."""
