"""The contenders, one file per engine, listed in measuring order in `ALL`."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from compare.cases import Case
from compare.workspace import Workspace


@dataclass(frozen=True)
class Measured:
    """A measured value, its command, and further details reported by the program."""

    case: Case
    value: float
    command: str
    details: dict[str, Any]


class Contender(Protocol):
    """An engine with a model of one weight type."""

    label: str  # shown in tables: "llama.cpp Q4_0"
    peer: str  # name for --peers: "llama.cpp"
    bits: int  # approximate bits per weight; contenders with equal bits are compared

    def prepare(self, workspace: Workspace) -> str:
        """Build or convert missing files and return the version; raise `Failed`."""

    def can(self, case: Case) -> bool:
        """Return whether it supports a case."""

    def measure(self, workspace: Workspace, cases: list[Case]) -> Iterator[Measured]:
        """Measure each case once, after a warm-up; raise `Failed`."""
