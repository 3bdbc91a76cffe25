"""The last step of every family: a name, arguments, examples, and the check."""
from __future__ import annotations

import builtins
import keyword
from collections.abc import Callable
from typing import Any

from .draw import Draw, Env
from .exercise import Exercise

CALLS, TRIES = 7, 4
GENERIC = "solve|compute|process|answer|result_of|evaluate|f|task"


def finish(
        d: Draw, family: str, composition: str, name: str, returns: str, text: str, body: str,
        meaning: Callable[[Env], Any]) -> Exercise | None:
    """The exercise, or None if no drawn arguments distinguish a correct solution from a constant."""
    if len(name) > 44 or d.chance(0.08):
        name = d.one(GENERIC)
    if name in d.taken or hasattr(builtins, name) or keyword.iskeyword(name) or not name.isidentifier():
        name = "find_" + "".join(c if c.isalnum() else "_" for c in name)
    names = [n for n, _, _ in d.parameters]
    annotated = d.chance(0.85)
    examples = d.one("0|0|0|1|2")
    for _ in range(TRIES):
        calls = [tuple(rule(d.r) for _, _, rule in d.parameters) for _ in range(CALLS)]
        exercise = Exercise(family, composition, name, [(n, t) for n, t, _ in d.parameters], returns, text, body,
                            lambda *a: meaning(dict(zip(names, a))), calls, annotated, int(examples))
        if max(len(repr(c)) for c in calls[:int(examples)] or [()]) < 90 and exercise.holds():
            return exercise
    return None
