"""The state of one exercise during generation: random choices, parameters and names.

Parts draw their constants from a `Draw`, which makes each a literal or a parameter of the function. Text and code refer
to a constant in the same way; the reference reads its value from the arguments of a call (`env`).
"""
from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Env = dict[str, Any]


@dataclass(frozen=True)
class Constant:
    """A literal or a parameter; `text` is its spelling in documentation and code."""

    text: str
    value: Callable[[Env], Any]
    code: str


@dataclass
class Draw:
    """The random state and parameters of one exercise."""

    r: random.Random
    parameters: list[tuple[str, str, Callable[[random.Random], Any]]] = field(default_factory=list)
    """Name, annotation and a function that draws an argument."""
    taken: set[str] = field(default_factory=set)
    constants: list[str] = field(default_factory=list)
    """Texts of the constants drawn so far, all different, so that copying the wrong one is detected."""

    def one(self, options: str) -> str:
        """Draw one of the alternatives separated by `|`."""
        return self.r.choice(options.split("|"))

    def chance(self, p: float) -> bool:
        """Return True with probability p."""
        return self.r.random() < p

    def name(self, options: str) -> str:
        """Draw a name that is unused in the function."""
        free = [n for n in options.split("|") if n not in self.taken]
        name = self.r.choice(free) if free else f"value_{len(self.taken)}"
        self.taken.add(name)
        return name

    def parameter(self, names: str, annotation: str, rule: Callable[[random.Random], Any]) -> str:
        """Add a parameter and return its name."""
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
        """Draw an integer constant in [low, high]."""
        if len(self.parameters) < 3 and self.chance(as_parameter):
            return self._argument(names, "int", lambda r: r.randint(low, high))
        text = self._fresh(lambda: str(self.r.randint(low, high)))
        return Constant(text, lambda env: int(text), text)

    def letter(self, letters: str, names: str = "letter|char|c", as_parameter: float = 0.3) -> Constant:
        """Draw a constant of one character."""
        if len(self.parameters) < 3 and self.chance(as_parameter):
            return self._argument(names, "str", lambda r: r.choice(letters))
        text = self._fresh(lambda: repr(self.r.choice(letters)))
        return Constant(text, lambda env: text[1:-1], text)

    def string(self, options: str, names: str = "prefix|part|mark") -> Constant:
        """Draw a constant of several characters."""
        text = self._fresh(lambda: repr(self.one(options)))
        return Constant(text, lambda env: text[1:-1], text)
