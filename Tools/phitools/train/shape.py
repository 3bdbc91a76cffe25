"""The shape of a phi, and what follows from it. Needs no PyTorch."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """The dimensions of a phi."""

    rows: int
    """Rows of embedding and head."""
    hidden: int
    layers: int
    heads: int
    intermediate: int
    positions: int
    rotary: float = 0.5
    theta: float = 10000.0
    """The base of the rotary frequencies."""
    epsilon: float = 1e-5
    """Added to the variance in layer norms."""

    @property
    def parameters(self) -> int:
        """The number of parameters."""
        return self.block_parameters + 2 * self.hidden + self.rows * (2 * self.hidden + 1)

    @property
    def block_parameters(self) -> int:
        """The number of parameters in all blocks."""
        h, f = self.hidden, self.intermediate
        return self.layers * (2 * h + (h + 1) * (3 * h + f) + (h + f) * h + h)

    @property
    def matrix_parameters(self) -> int:
        """The number of weights in each token's matrix products: those of blocks and head."""
        h, f = self.hidden, self.intermediate
        return self.layers * (h * (3 * h + f) + (h + f) * h) + self.rows * h

    def flops_per_token(self, context: int) -> float:
        """Return the operations of a training step: 6 per weight, plus attention over half the context on average."""
        return 6 * self.matrix_parameters + 6 * self.layers * self.hidden * context
