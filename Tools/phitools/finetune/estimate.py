"""How much memory a fine-tuning takes, told before it begins."""
from __future__ import annotations

from pathlib import Path

import torch

from ..train import lora as adapters
from ..train.config import Lora
from ..train.loss import PIECE
from ..train.shape import Shape


def memory(shape: Shape, lora: Lora, tokens: int, precision: str) -> dict[str, float]:
    """Return the bytes of weights, of gradients and the optimizer's moments, and of a pass over `tokens` tokens."""
    trained = adapters.parameters(shape, lora) if lora.rank else shape.parameters
    size = 2 if precision == "bfloat16" else 4
    h, f = shape.hidden, shape.intermediate
    kept = tokens * shape.layers * (11 * h + 4 * f) * size  # what the backward pass needs of each block
    logits = 3 * 4 * min(tokens, PIECE) * shape.rows
    return {
        "weights": 4.0 * shape.parameters + (2.0 * shape.parameters if size == 2 else 0.0),
        "training": 12.0 * trained, "passes": float(kept + logits)}


def free(device: torch.device) -> float | None:
    """Return the free bytes of a GPU or of this machine; None if they cannot be told."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def size(n: float) -> str:
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.0f} MB"


def duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{seconds / 60:.0f} minutes" if seconds >= 90 \
        else f"{seconds:.0f} seconds"
