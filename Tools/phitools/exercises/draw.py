"""The state of one exercise during generation: random choices, parameters and names.

A part never fixes a number or a letter: it asks a `Draw` for a constant, which becomes a literal or a parameter of the
function. Text and code name the constant in the same way; the reference reads its value from the arguments of a call
(`env`).
"""
from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Env = dict[str, Any]


@dataclass(frozen=True)
class Constant:
    """A literal or a parameter: `text` is how documentation and code write it."""

    text: str
    value: Callable[[Env], Any]
    code: str


@dataclass
class Draw:
    """The random state and the parameters of one exercise."""

    r: random.Random
    parameters: list[tuple[str, str, Callable[[random.Random], Any]]] = field(default_factory=list)
    """Name, annotation and a rule that draws an argument."""
    taken: set[str] = field(default_factory=set)
    constants: list[str] = field(default_factory=list)
    """Texts of the constants drawn so far: no two are the same, so that copying the wrong one shows."""

    def one(self, options: str) -> str:
        """One of the alternatives that `|` separates."""
        return self.r.choice(options.split("|"))

    def chance(self, p: float) -> bool:
        """True with probability p."""
        return self.r.random() < p

    def name(self, options: str) -> str:
        """A name that the function does not use yet."""
        free = [n for n in options.split("|") if n not in self.taken]
        name = self.r.choice(free) if free else f"value_{len(self.taken)}"
        self.taken.add(name)
        return name

    def parameter(self, names: str, annotation: str, rule: Callable[[random.Random], Any]) -> str:
        """A new parameter; its name."""
        name = self.name(names)
        self.parameters.append((name, annotation, rule))
        return name

    def _fresh(self, make: Callable[[], str]) -> str:
        for _ in range(20):
            text = make()
            if text not in self.constants:
                break
        self.constants.append(text)
        return text

    def _argument(self, names: str, annotation: str, rule: Callable[[random.Random], Any]) -> Constant:
        name = self.parameter(names, annotation, rule)
        return Constant(name, lambda env: env[name], name)

    def integer(
            self, low: int, high: int, names: str = "limit|k|threshold|bound", as_parameter: float = 0.3) -> Constant:
        """An integer constant of [low, high]."""
        if len(self.parameters) < 3 and self.chance(as_parameter):
            return self._argument(names, "int", lambda r: r.randint(low, high))
        text = self._fresh(lambda: str(self.r.randint(low, high)))
        return Constant(text, lambda env: int(text), text)

    def letter(self, letters: str, names: str = "letter|char|c", as_parameter: float = 0.3) -> Constant:
        """A constant of one character."""
        if len(self.parameters) < 3 and self.chance(as_parameter):
            return self._argument(names, "str", lambda r: r.choice(letters))
        text = self._fresh(lambda: repr(self.r.choice(letters)))
        return Constant(text, lambda env: text[1:-1], text)

    def string(self, options: str, names: str = "prefix|part|mark") -> Constant:
        """A constant of several characters."""
        text = self._fresh(lambda: repr(self.one(options)))
        return Constant(text, lambda env: text[1:-1], text)
