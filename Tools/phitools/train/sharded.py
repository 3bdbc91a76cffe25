"""Checkpoints of which every process writes its own part (torch.distributed.checkpoint), so that no process holds all.

They are read by any number of processes; the final checkpoint of a run is whole nevertheless.
"""
from __future__ import annotations

from pathlib import Path

import torch
import torch.distributed.checkpoint as parts
from torch import Tensor, nn

FOLDER = "sharded"


def _flat(weights: dict[str, Tensor], states: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    return {f"model/{n}": w.detach() for n, w in weights.items()} | {
        f"optimizer/{n}/{k}": v for n, values in states.items() for k, v in values.items()}


def save(folder: Path, weights: dict[str, Tensor], states: dict[str, dict[str, Tensor]]) -> None:
    """Write this process's part; all processes must call this."""
    parts.save(_flat(weights, states), checkpoint_id=str(folder / FOLDER))


def load(folder: Path, model: nn.Module) -> dict[str, dict[str, Tensor]]:
    """Load a model's weights in place and return the optimizer's states by weight, distributed as the weights are."""
    weights = {n: w for n, w in model.named_parameters() if w.requires_grad}
    try:
        stored = parts.FileSystemReader(str(folder / FOLDER)).read_metadata().state_dict_metadata
        states: dict[str, dict[str, Tensor]] = {}
        for name, about in stored.items():
            kind, _, rest = name.partition("/")
            if kind == "optimizer":
                weight, _, key = rest.rpartition("/")
                like = weights[weight]
                empty = torch.zeros_like(like) if about.size == like.shape else torch.zeros(
                    about.size, dtype=about.properties.dtype)
                states.setdefault(weight, {})[key] = empty
        parts.load(_flat(weights, states), checkpoint_id=str(folder / FOLDER))
    except Exception as error:  # it has exceptions of its own
        raise ValueError(f"{folder / FOLDER}: cannot be read ({' '.join(str(error).split())[:200]})") from None
    return states
