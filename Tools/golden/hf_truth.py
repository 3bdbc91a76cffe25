"""Reference logits of a checkpoint by Hugging Face's phi in float32, for the golden files.

A library module for `tiny_phis.py` and `full_shape.py`.
"""
from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import PhiForCausalLM

from phitools.seeded import pieces
from phitools.shapes import Shape


def load(folder: Path, dtype: torch.dtype = torch.float32) -> PhiForCausalLM:
    """Load a checkpoint as a model in evaluation mode with "eager" attention."""
    torch.use_deterministic_algorithms(True)
    return PhiForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()


@torch.no_grad()
def logits(model: PhiForCausalLM, ids: Sequence[int], keep: int = 0) -> np.ndarray:
    """Return logits after each id, or the last `keep`, in the model's precision: [positions, padded vocabulary]."""
    return model(torch.tensor([list(ids)]), use_cache=False, logits_to_keep=keep).logits[0].numpy()


def weights_sha256(shape: Shape, base_seed: int) -> str:
    """Return the SHA-256 of the checkpoint's tensors as little-endian float32, in file order."""
    digest = hashlib.sha256()
    for name, dimensions, kind in shape.tensors():
        for values in pieces(name, int(np.prod(dimensions)), kind, shape.exponents, base_seed):
            digest.update(values.astype("<f4", copy=False).tobytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    return {
        "python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def write_golden(folder: Path, ids: Sequence[int], values: np.ndarray, meta: dict[str, Any]) -> None:
    """Write ids.json, logits.npy (float32) and meta.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ids.json").write_text(json.dumps(list(ids)) + "\n")
    np.save(folder / "logits.npy", np.ascontiguousarray(values, dtype="<f4"))
    (folder / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")
