"""How much memory a fine-tuning takes, told before it begins."""
from __future__ import annotations

from pathlib import Path

import torch

from ..train import lora as adapters
from ..train.config import Lora
from ..train.loss import PIECE
from ..train.shape import Shape


def memory(
        shape: Shape, lora: Lora, sequences: int, context: int, precision: str, world: int = 1,
        strategy: str = "ddp") -> dict[str, float]:
    """Return the bytes that each of `world` processes takes for weights, for gradients and the optimizer's moments,
    and for a pass over `sequences` x `context` tokens."""
    trained = adapters.parameters(shape, lora) if lora.rank else shape.parameters
    size = 2 if precision == "bfloat16" else 4
    weights, training = 4.0 * shape.parameters, 12.0 * trained
    if size == 2:
        weights += 2.0 * shape.parameters  # autocast's copies
    if world > 1 and strategy == "fsdp":  # a part each, and what is gathered: all outside the blocks and two of these
        blocks = shape.block_parameters
        weights = weights / world + size * (shape.parameters - blocks + min(2, shape.layers) * blocks / shape.layers)
        training /= world
    elif world > 1:
        training += 4.0 * trained  # the buffers in which gradients are exchanged
    h, f, tokens = shape.hidden, shape.intermediate, sequences * context
    # What the backward pass needs of a block: the norm's input and output, both projections' products, rotated q and k,
    # attention's output. Residual streams and the loss are in f32.
    block = size * (9 * h + 2 * f) + (4 - size) * h
    mask = size * tokens * context
    logits = 3 * 4 * min(tokens, PIECE) * shape.rows
    return {
        "weights": weights, "training": training,
        "passes": float(tokens * (shape.layers * block + 3 * 4 * h) + mask + logits)}


def free(device: torch.device, sharing: int = 1) -> float | None:
    """Return the free bytes of a GPU, or the share of this machine's that each of `sharing` processes has; None if they
    cannot be told."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024 / sharing
    except (OSError, ValueError, IndexError):
        pass
    return None


def size(n: float) -> str:
    return f"{n / 1e9:.1f} GB" if n >= 1e9 else f"{n / 1e6:.0f} MB"


def duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{seconds / 60:.0f} minutes" if seconds >= 90 \
        else f"{seconds:.0f} seconds"
