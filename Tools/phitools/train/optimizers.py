"""The optimizers of a run and their learning rate."""
from __future__ import annotations

import math

import torch

from .config import Config
from .model import Phi
from .muon import Muon


def learning_rate(
        step: int, peak: float, warmup: int, steps: int, kind: str = "linear", decay: float = 0.2,
        floor: float = 0.0) -> float:
    """Return the rate of a step from 0: linear warm-up to the peak at `warmup`, then down to `floor` of it at `steps`:
    "linear", as a half "cosine", or with "wsd" linearly in the last share `decay` of the steps."""
    if step < warmup:
        return peak * (step + 1) / warmup
    falling = max(1, steps - warmup) if kind != "wsd" else max(1, round(decay * steps))
    left = min(1.0, (steps - step) / falling)
    if kind == "cosine":
        left = (1 - math.cos(math.pi * left)) / 2
    return peak * (floor + (1 - floor) * left)


def make_optimizers(model: Phi, c: Config, device: torch.device) -> list[torch.optim.Optimizer]:
    """Return AdamW, with decay for matrices only, preceded by Muon for the blocks' matrices if configured.

    A block's output bias replaces two biases of Hugging Face's, whose equal steps add up, so its rate is doubled.
    """
    o, muon = c.optimizer, []
    if o.muon:
        h, f = model.shape.hidden, model.shape.intermediate
        for block in model.blocks:
            muon += [(block.into.weight, [h, h, h, f], 0), (block.out.weight, [h, f], 1)]
    taken = {id(p) for p, _, _ in muon}
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    matrices = [p for _, p in trained if p.dim() >= 2 and id(p) not in taken]
    joined = [p for n, p in trained if n.endswith("out.bias")]
    vectors = [p for n, p in trained if p.dim() < 2 and not n.endswith("out.bias")]
    adam = torch.optim.AdamW([{"params": matrices, "weight_decay": o.decay}, {"params": vectors, "weight_decay": 0.0},
                              {"params": joined, "weight_decay": 0.0, "lr": 2 * c.schedule.peak}],
                             lr=c.schedule.peak, betas=(o.beta1, o.beta2), eps=o.epsilon,
                             fused=c.run.strategy == "ddp" or device.type == "cuda")
    return [Muon(muon, o.muon, o.decay), adam] if muon else [adam]
