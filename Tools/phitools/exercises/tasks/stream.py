"""The stream of exercises from the tables, and their held-out part."""
from __future__ import annotations

import builtins
import copy
import itertools
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from ..draw import Draw
from ..exercise import Exercise
from ..finish import GENERIC
from ..generate import FAMILIES, distinct, held_out, held_out_kind
from . import classes, compose
from .first_course import NAMES
from .forms import FORMS, NAMED, WEIGHTS, Function
from .table import Task, tasks
from .wordings import sentence, twins

SHARES = {"task": 50, "composition": 12, "class": 6, "grammar": 22, "reworded": 10}
"""Of a hundred exercises: single tasks, two composed, classes, the grammar's own, and those in the forms of this package."""


@dataclass(frozen=True)
class Drawn:
    """An exercise: what is given, what is to be written, and the test in HumanEval's form."""

    family: str
    composition: str
    prompt: str
    solution: str
    name: str
    test: str
    table: bool = False
    """Whether it is a single task of a table."""
    bare: bool = False
    """Whether its words are not in the prompt."""

    @property
    def source(self) -> str:
        return self.prompt + self.solution

    @property
    def held_out(self) -> str:
        """"family" or "composition" for an exercise that is held out from training, else ""."""
        return held_out_kind(self.family, self.composition)

    @property
    def task(self) -> str:
        """The name of a single task of a table."""
        return self.composition.rpartition(" / ")[0]

    @property
    def never_trained(self) -> bool:
        """Whether training never has the words of a held-out single task either."""
        wording = self.composition.rpartition(" / ")[2]
        return not self.bare and all(held_out_kind(self.family, f"{self.task} / {w}") for w in twins(wording))


def function_name(r: random.Random, names: list[str], taken: set[str]) -> str:
    """Draw a name: one of the table's, changed a little now and then, or one that says nothing."""
    name = r.choice(names[:1] * 2 + names)
    if r.random() < 0.12:
        name = r.choice(["get_", "find_", "my_", "compute_", "do_"]) + name
    kind = r.random()
    if kind < 0.06:
        name = r.choice(GENERIC.split("|") + ["solution", "func", "my_function", "run"])
    elif kind < 0.11:
        head, *rest = name.split("_")
        name = head + "".join(w.capitalize() for w in rest)
    elif kind < 0.15:
        name = "_".join(w.capitalize() if r.random() < 0.6 else w for w in name.split("_"))
    while name in taken or hasattr(builtins, name):
        name += r.choice(["_of", "_it", "_value", "_2"])
    return name


def renamed(text: str, names: dict[str, str]) -> str:
    """Rename identifiers, but no attributes, keywords of a call or strings."""
    pattern = "|".join(map(re.escape, names))
    return re.sub(rf"(?<![\w.\"'])({pattern})(?![\w\"']|=(?!=))", lambda m: names[m[1]], text) if names else text


def parameter_names(r: random.Random, task: Task, used: set[str]) -> dict[str, str]:
    """Draw the parameters' names; those of a kind have the same place among their alternatives (a and b, x and y)."""
    place = r.randrange(40) if r.random() < 0.6 else 0
    found: dict[str, str] = {}
    for p in task.parameters:
        free = [n for n in p.names if n == p.name or n not in used | set(found.values()) | {q.name for q in task.parameters}]
        found[p.name] = free[place % len(free)]
    return found


def calls_of(r: random.Random, task: Task, wanted: int, function: Callable[..., Any]) -> tuple[list, list] | None:
    """Draw arguments and their answers, as different as they come; None if all answers are the same."""
    calls, answers = [], []
    for _ in range(wanted * 5):
        arguments = tuple(p.kind.draw(r) for p in task.parameters)
        try:
            answer = function(*copy.deepcopy(arguments))
        except (ArithmeticError, LookupError, ValueError, TypeError):
            continue  # outside the function's domain
        if arguments in calls or len(repr(answer)) > 90 or (answers.count(answer) > wanted // 2):
            continue
        calls.append(arguments)
        answers.append(answer)
        if len(calls) == wanted or not task.parameters:
            break
    enough = not task.parameters or len({repr(a) for a in answers}) > 1
    return (calls, answers) if calls and enough else None


def whole(task: Task, r: random.Random, family: str, form: str = "") -> Drawn | None:
    """Draw an exercise of a task; None if the draw is unsuitable."""
    form = form or r.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    index = 0 if r.random() < 0.7 else r.randrange(len(task.bodies))
    found = calls_of(r, task, 5, task.functions[index])
    if not found:
        return None
    imports, lines = task.bodies[index]
    used = set(re.findall(r"[A-Za-z_]\w*", "\n".join([*imports, *lines])))
    names = parameter_names(r, task, used)
    text, wording = sentence(r, task, names, form in NAMED)
    name = r.choice(task.names) if form == "bare" else function_name(r, task.names, used | set(names.values()))
    changed = {k: v for k, v in names.items() if k != v} | {"f": name}
    before, lines = [], [renamed(line, changed) for line in lines]
    first = task.helper
    if first and form in NAMED and r.random() < 0.4 and first.names[0] not in used | {name} and not first.bodies[0][0]:
        before, lines = helped(task, names, lines)
    f = Function(
        name, [(names[p.name], p.kind.annotation) for p in task.parameters], task.returns, imports, lines, *found, before)
    prompt, solution = FORMS[form](r, f, text)
    composition = task.pair or f"{task.name} / {wording}"
    return checked(Drawn(family, composition, prompt, solution, name, f.test, not task.pair, form == "bare"))


def helped(task: Task, names: dict[str, str], lines: list[str]) -> tuple[list[str], list[str]]:
    """Return the first of two composed tasks as a function, and the second's lines, which call it."""
    arguments = ", ".join(names[p.name] for p in task.helper.parameters)
    local, _, value = lines[0].partition(" = ")
    name = task.helper.names[0]
    return [f"def {name}({arguments}):", f"    return {value}"], [f"{local} = {name}({arguments})", *lines[1:]]


def checked(e: Drawn) -> Drawn:
    """Return an exercise whose source passes its test; ValueError if it does not."""
    space: dict[str, Any] = {}
    try:
        exec(compile(e.source + "\n" + e.test, "<exercise>", "exec"), space)  # the tables' and the grammar's code only
        space["check"](space[e.name])
    except Exception as error:
        raise ValueError(f"{e.composition}: {type(error).__name__}: {error}:\n{e.source}\n{e.test}") from error
    return e


def single(r: random.Random, among: Sequence[Task] = ()) -> Drawn | None:
    """Draw a single task, of all or of some."""
    task = r.choice(among or tasks())
    return whole(task, r, task.topic)


def composed(r: random.Random) -> Drawn | None:
    pairs = (compose.pair(r, tasks()) for _ in range(200))  # few fit
    task = next(filter(None, pairs), None)
    return whole(task, r, "composition") if task else None


def of_class(r: random.Random) -> Drawn | None:
    return checked(Drawn(*classes.draw(r)))


def _of_grammar(r: random.Random) -> Exercise:
    makers, weights = zip(*FAMILIES)
    while True:
        exercise = r.choices(makers, weights)[0](Draw(r))
        if exercise is not None and not held_out(exercise):
            return exercise


def grammar(r: random.Random) -> Drawn:
    e = _of_grammar(r)
    start = len(e.prompt.rstrip("\n"))
    return Drawn(e.family, e.composition, e.source[:start], e.source[start:], e.name, e.test)


STARTS = ["Write a function to return|Write a python function to return|Write a function that returns|Find|Get|return|Returns",
          "Write a function to count|Write a python function to count|Counts|count"]


def reworded(r: random.Random) -> Drawn:
    """An exercise of the grammar in another form and with other first words."""
    e = _of_grammar(r)
    text = e.text
    for first, others in zip(("Return", "Count"), STARTS):
        if text.startswith(first + " ") and ". " not in text.replace(". Return", ""):
            text = r.choice(others.split("|")) + text[len(first):]
    form = r.choice(["asserts", "asserts", "asserts", "comment", "request", "signature"])
    f = Function(
        e.name, e.parameters, e.returns, [], e.body.split("\n"), e.calls[:5], [e.answer(c) for c in e.calls[:5]])
    return Drawn(e.family, e.composition, *FORMS[form](r, f, text), e.name, f.test)


MAKERS: dict[str, Callable[[random.Random], Drawn | None]] = {
    "task": single, "composition": composed, "class": of_class, "grammar": grammar, "reworded": reworded}


def any_kind(r: random.Random) -> Drawn | None:
    return MAKERS[r.choices(list(SHARES), list(SHARES.values()))[0]](r)


def draw(seed: int, make: Callable[[random.Random], Drawn | None] = any_kind) -> Iterator[Drawn]:
    """Yield checked exercises of both sides of the split, endlessly."""
    r = random.Random(seed)
    return filter(None, (make(r) for _ in itertools.count()))


def training(seed: int, count: int, first_course: bool = False) -> Iterator[Drawn]:
    """Yield `count` training exercises with distinct texts; single tasks of a first course, or all kinds. Another seed may
    have some of them, too."""
    make = partial(single, among=[t for t in tasks() if t.name in NAMES]) if first_course else any_kind
    return islice(distinct(e for e in draw(seed, make) if not e.held_out), count)


