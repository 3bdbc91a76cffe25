"""The contenders, one engine a file. `ALL` is the order in which a round goes through them."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from compare.cases import Case
from compare.workplace import Workplace


@dataclass(frozen=True)
class Measured:
    """One number, the command that measured it, and other output of the run."""

    case: Case
    value: float
    command: str
    details: dict[str, Any]


class Contender(Protocol):
    """An engine with a model in one weight type."""

    label: str  # shown in tables: "llama.cpp Q4_0"
    peer: str  # what --peers takes: "llama.cpp"
    bits: int  # of its weights, roughly: contenders of a kind are compared

    def prepare(self, place: Workplace) -> str:
        """Builds or converts what is missing; returns the version. Raises `Failed`."""

    def can(self, case: Case) -> bool:
        """Whether it has a way to measure this case."""

    def measure(self, place: Workplace, cases: list[Case]) -> Iterator[Measured]:
        """Measures each case once, after a warm-up. Raises `Failed`."""
