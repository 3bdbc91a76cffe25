"""Two tasks one after the other: the noun phrase of the first stands for the parameter of the second."""
from __future__ import annotations

import random
import re

from .table import Parameter, Task

# No number goes where loops of that many turns are run.
FITS = {
    "list[int]": ("nums", "nums1", "pos", "items"), "list[str]": ("words", "words1"), "list": ("items", "items1"),
    "str": ("text", "word", "lower", "sentence"), "int": ("num", "big"), "dict[str, int]": ("mapping", "mapping1"),
    "list[list[int]]": ("rows",)}
LOCAL = {"list[int]": "values", "list[str]": "parts", "list": "values", "str": "result", "int": "value", "dict[str, int]": "table",
         "list[list[int]]": "groups"}
PLAIN = {"choices", "everyday", "numbers"}
"""Tables whose tasks are for themselves."""


def _kind(p: Parameter) -> str:
    from .kinds import KINDS
    return next(k for k, v in KINDS.items() if v is p.kind)


def _nouns(task: Task) -> list[str]:
    return [t for m, t in task.phrases if m == "-" and not re.match(r"\[?how ", t)]


def pair(r: random.Random, tasks: tuple[Task, ...]) -> Task | None:
    """Draw two tasks that fit and return them as one; None if they do not."""
    first, second = r.choice(tasks), r.choice(tasks)
    if first.topic in PLAIN or second.topic in PLAIN:
        return None
    source = [line.removeprefix("return ") for line in first.bodies[0][1]]
    fits = FITS.get(first.returns)
    if not fits or not _nouns(first) or len(source) != 1:
        return None
    if second is first or not second.parameters or _kind(second.parameters[0]) not in fits:
        return None
    p, others = second.parameters[0], second.parameters[1:]
    taken = {q.name for q in first.parameters}
    if taken & {q.name for q in others}:
        return None
    noun = r.choice(_nouns(first))
    phrases = [(m, t.replace(f"{{{p.name}}}", noun, 1)) for m, t in second.phrases
               if m != "~" and t.count(f"{{{p.name}}}") == 1]
    if not phrases:
        return None
    imports, lines = second.bodies[0]
    local = LOCAL[first.returns]
    text = "\n".join(lines)
    if re.search(rf"\bf\(|\b{local}\b|\b({'|'.join(taken) or '$'})\b", text):
        return None
    text = re.sub(rf"(?<![\w.\"']){p.name}(?![\w\"']|=(?!=))", local, text)
    name = f"{second.names[0]}_of_{first.names[0]}" if r.random() < 0.5 else second.names[0]
    if len(name) > 40:
        name = second.names[0]
    bodies = [([*first.bodies[0][0], *(i for i in imports if i not in first.bodies[0][0])],
               [f"{local} = {source[0]}", *text.split("\n")])]
    return Task("composition", [name], [*first.parameters, *others], second.returns, phrases, [], [], bodies, f"{first.name} / {second.name}", first)
