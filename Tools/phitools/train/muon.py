"""Muon (Jordan and others, 2024, "Muon: an optimizer for hidden layers in neural networks"): the momentum of a matrix's
gradient, made nearly orthogonal, is its update, so that all directions move equally far.
"""
from __future__ import annotations

import torch
from torch import Tensor

STEPS, COEFFICIENTS = 5, (3.4445, -4.7750, 2.0315)
"""The coefficients of the Newton-Schulz iteration x <- a x + b (x xT) x + c (x xT)^2 x, which maps singular values to
about 1 (0.7 to 1.2)."""


def orthogonal(g: Tensor) -> Tensor:
    """Return matrices with g's singular vectors and singular values near 1. g: [matrices, rows, columns]"""
    a, b, c = COEFFICIENTS
    x = g.mT if g.shape[1] > g.shape[2] else g
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(STEPS):
        s = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(s, s, s, beta=b, alpha=c), x, beta=a)
    return x.mT if g.shape[1] > g.shape[2] else x


class Muon(torch.optim.Optimizer):
    """A Muon optimizer for matrices that may be concatenations: each part is orthogonalised separately, so that
    concatenation does not affect the result. A part's update is rate * sqrt(max(1, rows / columns)) times a nearly
    orthogonal matrix, with weight decay as in AdamW."""

    def __init__(
            self, parts: list[tuple[Tensor, list[int], int]], rate: float, decay: float,
            momentum: float = 0.95) -> None:
        """Create an optimizer; `parts` lists each matrix, the sizes of its parts, and their axis of concatenation."""
        super().__init__([p for p, _, _ in parts], {"lr": rate, "weight_decay": decay, "momentum": momentum})
        self.cut = {p: (sizes, axis) for p, sizes, axis in parts}

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            # batched by shape on a GPU for fewer kernels; one at a time on a CPU, for its cache
            together: dict[object, list[tuple[Tensor, Tensor]]] = {}
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                average = state["momentum"].lerp_(p.grad, 1 - momentum)
                wanted = p.grad.lerp(average, momentum)  # Nesterov's
                p.mul_(1 - rate * group["weight_decay"])
                sizes, axis = self.cut[p]
                for weight, direction in zip(p.split(sizes, axis), wanted.split(sizes, axis)):
                    together.setdefault(weight.shape if weight.is_cuda else len(together), []).append(
                        (weight, direction))
            for parts in together.values():
                for (weight, _), update in zip(parts, orthogonal(torch.stack([direction for _, direction in parts]))):
                    weight.add_(update, alpha=-rate * max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5)
