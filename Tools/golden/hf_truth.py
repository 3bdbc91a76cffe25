"""Logits of a checkpoint directory from Hugging Face's own phi, in float32: what the golden files hold.

Not run by itself; `tiny_phis.py` and `full_shape.py` import it.
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
    """The checkpoint as a model in evaluation mode with the plain ("eager") attention."""
    torch.use_deterministic_algorithms(True)
    return PhiForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()


@torch.no_grad()
def logits(model: PhiForCausalLM, ids: Sequence[int], keep: int = 0) -> np.ndarray:
    """Logits after each id, or after the last `keep`, in the model's precision: [positions, padded vocabulary]."""
    return model(torch.tensor([list(ids)]), use_cache=False, logits_to_keep=keep).logits[0].numpy()


def weights_sha256(shape: Shape, base_seed: int) -> str:
    """SHA-256 of all the checkpoint's tensors as little-endian float32, in the order of the file."""
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
    """Writes ids.json, logits.npy (float32) and meta.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ids.json").write_text(json.dumps(list(ids)) + "\n")
    np.save(folder / "logits.npy", np.ascontiguousarray(values, dtype="<f4"))
    (folder / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")
