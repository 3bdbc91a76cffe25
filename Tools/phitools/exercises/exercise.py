"""A finished exercise: prompt, solution, reference, and the check that solution and reference agree."""
from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Exercise:
    """A function to be written. `composition` identifies its parts, without constants, names and wording; the held-out
    split is determined by it."""

    family: str
    composition: str
    name: str
    parameters: list[tuple[str, str]]
    """Name and annotation."""
    returns: str
    text: str
    """The text of the docstring."""
    body: str
    reference: Callable[..., Any]
    """Computes the answer from the parts, not from `body`."""
    calls: list[tuple[Any, ...]]
    """Argument lists of the asserts."""
    annotated: bool = True
    examples: int = 0
    """The number of calls shown in the docstring."""

    @property
    def signature(self) -> str:
        if not self.annotated:
            return f"def {self.name}({', '.join(n for n, _ in self.parameters)}):"
        return f"def {self.name}({', '.join(f'{n}: {t}' for n, t in self.parameters)}) -> {self.returns}:"

    def _call(self, arguments: tuple[Any, ...]) -> str:
        return f"{self.name}({', '.join(map(repr, arguments))})"

    def answer(self, arguments: tuple[Any, ...]) -> Any:
        """The reference's result."""
        return self.reference(*copy.deepcopy(arguments))

    @property
    def prompt(self) -> str:
        """The signature and docstring, up to the line break after its closing quotes."""
        shown = "".join(f"    >>> {self._call(c)}\n    {self.answer(c)!r}\n" for c in self.calls[:self.examples])
        docstring = f'    """{self.text}\n\n{shown}    """\n' if shown else f'    """{self.text}"""\n'
        return f"{self.signature}\n{docstring}"

    @property
    def solution(self) -> str:
        """The function's indented body."""
        return "".join(f"    {line}\n" if line else "\n" for line in self.body.split("\n"))

    @property
    def source(self) -> str:
        """The whole function."""
        return self.prompt + self.solution

    @property
    def test(self) -> str:
        """The test in HumanEval's form: a function `check(candidate)` of asserts."""
        lines = [f"    assert candidate({', '.join(map(repr, c))}) == {self.answer(c)!r}\n" for c in self.calls]
        return "def check(candidate):\n" + "".join(lines)

    def holds(self) -> bool:
        """Whether the solution passes the asserts, and a function that returns a constant or its argument fails
        them."""
        answers = [self.answer(c) for c in self.calls]
        if all(a == answers[0] for a in answers) or any(repr(a) == "nan" for a in answers):
            return False
        if all(any(repr(a) == repr(x) for x in c) for a, c in zip(answers, self.calls)):
            return False
        space: dict[str, Any] = {}
        exec(compile(self.source, "<solution>", "exec"), space)  # generated code only: no foreign code runs here
        before = copy.deepcopy(self.calls)
        exec(compile(self.test, "<asserts>", "exec"), space)
        try:
            space["check"](space[self.name])
        except AssertionError:
            raise ValueError(f"the solution of {self.composition} is wrong:\n{self.source}\n{self.test}") from None
        right = all(type(space[self.name](*c)) is type(a) for c, a in zip(copy.deepcopy(self.calls), answers))
        if not right or before != self.calls:
            raise ValueError(
                f"the solution of {self.composition} returns another type or changes its arguments:\n{self.source}")
        return True
