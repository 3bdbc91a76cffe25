"""LoRA (Hu and others, 2021) on the projections of phi's blocks, written as PEFT writes it.

A projection's weight W becomes W + (alpha / rank) B A; only A and B are trained. The modules are named as in Hugging
Face, although a block computes several of them in one product.
"""
from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from .config import Lora
    from .model import Phi
    from .shape import Shape

MODULES = {
    "q_proj": "self_attn", "k_proj": "self_attn", "v_proj": "self_attn", "fc1": "mlp", "dense": "self_attn",
    "fc2": "mlp"}
"""The modules that can be adapted, and what holds them in a block."""
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


class Adapted(nn.Module):
    """A frozen projection, a concatenation of several along its rows or columns, with updates of low rank."""

    def __init__(self, whole: nn.Linear, parts: dict[str, int], joins_inputs: bool, lora: Lora) -> None:
        super().__init__()
        self.whole, self.parts, self.joins_inputs = whole.requires_grad_(False), parts, joins_inputs
        self.scale = lora.alpha / lora.rank
        self.a, self.b = nn.ParameterDict(), nn.ParameterDict()
        for name, size in parts.items():
            if name in lora.targets:
                inputs, outputs = (size, whole.out_features) if joins_inputs else (whole.in_features, size)
                self.a[name] = nn.Parameter(torch.empty(lora.rank, inputs))
                nn.init.kaiming_uniform_(self.a[name], a=math.sqrt(5))
                self.b[name] = nn.Parameter(torch.zeros(outputs, lora.rank))

    def _update(self, name: str, x: Tensor) -> Tensor:
        return F.linear(F.linear(x, self.a[name]), self.b[name]) * self.scale

    def forward(self, x: Tensor) -> Tensor:
        y, sizes = self.whole(x), list(self.parts.values())
        if self.joins_inputs:
            for name, part in zip(self.parts, x.split(sizes, -1)):
                if name in self.a:
                    y = y + self._update(name, part)
            return y
        return torch.cat([
            part + self._update(name, x) if name in self.a else part
            for name, part in zip(self.parts, y.split(sizes, -1))], -1)


def is_adapter(folder: Path) -> bool:
    """Whether a checkpoint is an adapter."""
    return (folder / CONFIG).exists()


def adapt(model: Phi, lora: Lora) -> None:
    """Freeze a model, except for updates of its blocks' projections."""
    h, f = model.shape.hidden, model.shape.intermediate
    model.requires_grad_(False)
    for block in model.blocks:
        block.into = Adapted(block.into, {"q_proj": h, "k_proj": h, "v_proj": h, "fc1": f}, False, lora)
        block.out = Adapted(block.out, {"dense": h, "fc2": f}, True, lora)


def to_peft(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename trained weights for PEFT."""
    out = {}
    for name, tensor in weights.items():
        _, layer, _, which, module = name.split(".")  # blocks.0.into.a.q_proj
        out[f"base_model.model.model.layers.{layer}.{MODULES[module]}.{module}.lora_{which.upper()}.weight"] = tensor
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in out.items()}


def load(folder: Path, model: Phi) -> None:
    """Load a checkpoint's updates into an adapted model."""
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    theirs = to_peft(trained)  # in the same order
    try:
        found = load_file(folder / WEIGHTS)
        if set(found) != set(theirs):
            raise ValueError("other modules are adapted")
        with torch.no_grad():
            for (_, p), name in zip(trained.items(), theirs):
                p.copy_(found[name])
    except Exception as error:
        raise ValueError(f"{folder / WEIGHTS}: cannot be read ({' '.join(str(error).split())[:200]})") from None


def write_config(folder: Path, lora: Lora, base: str) -> None:
    """Write PEFT's adapter_config.json; `base` is a folder or a model's id."""
    settings: dict[str, Any] = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": lora.base or base, "r": lora.rank,
        "lora_alpha": lora.alpha, "lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": False, "inference_mode": True,
        "target_modules": sorted(lora.targets), "modules_to_save": None}
    (folder / CONFIG).write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def parameters(shape: Shape, lora: Lora) -> int:
    """Return the number of trained parameters."""
    h, f = shape.hidden, shape.intermediate
    return shape.layers * lora.rank * sum(2 * h if m.endswith(("_proj", "dense")) else h + f for m in lora.targets)
