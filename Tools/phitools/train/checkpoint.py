"""Checkpoints in Hugging Face layout, for `phi convert` and `transformers`, with the optimizer's state.

`OUT/checkpoints/step-00000200` holds config.json, model.safetensors, the tokenizer's files and training.pt. A folder
appears only when it is complete, so a kill or a full disk leaves the previous one.
"""
from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..durable import write_folder
from .config import Dropout
from .model import Shape, from_hugging_face, to_hugging_face

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt")


def hugging_face_config(shape: Shape, end_of_text: int, dropout: Dropout = Dropout()) -> dict[str, Any]:
    """Return config.json, with rotary keys at top level, as read by every version of transformers."""
    return {
        "architectures": ["PhiForCausalLM"], "model_type": "phi", "vocab_size": shape.rows, "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate, "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads, "max_position_embeddings": shape.positions,
        "partial_rotary_factor": shape.rotary,
        "rope_theta": 10000.0, "rope_scaling": None, "hidden_act": "gelu_new", "layer_norm_eps": 1e-5,
        "qk_layernorm": False,
        "tie_word_embeddings": False, "use_cache": True, "initializer_range": 0.02, "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "attention_dropout": dropout.attention, "resid_pdrop": dropout.residual, "embd_pdrop": dropout.embedding,
        "torch_dtype": "float32"}


def read_shape(folder: Path) -> Shape:
    """The shape in config.json of a phi checkpoint; ValueError names a missing key."""
    path = folder / "config.json"
    try:
        c = json.loads(path.read_text(encoding="utf-8"))
        rotary = c.get("partial_rotary_factor") or (c.get("rope_parameters") or {}).get("partial_rotary_factor", 0.5)
        return Shape(
            c["vocab_size"], c["hidden_size"], c["num_hidden_layers"], c["num_attention_heads"], c["intermediate_size"],
            c["max_position_embeddings"], rotary)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: not a phi checkpoint ({type(error).__name__}: {error})") from None


def load_weights(folder: Path, shape: Shape) -> dict[str, Tensor]:
    """Load a checkpoint's weights under this package's names."""
    path = folder / "model.safetensors"
    try:
        return from_hugging_face(shape, load_file(path))
    except Exception as error:
        raise ValueError(f"{path}: {error}") from None


def save(folder: Path, shape: Shape, weights: dict[str, Tensor], tokenizer: Path, end_of_text: int, dropout: Dropout,
         training: dict[str, Any] | None = None) -> None:
    """Write a checkpoint; with `training`, also the state for resuming. OSError if the disk is full."""
    def fill(fresh: Path) -> None:
        config = hugging_face_config(shape, end_of_text, dropout)
        (fresh / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        try:
            save_file(to_hugging_face(shape, weights), fresh / "model.safetensors", metadata={"format": "pt"})
            if training is not None:
                torch.save(training, fresh / "training.pt")
        except OSError:
            raise
        except Exception as error:  # safetensors and torch have exceptions of their own for a full disk
            raise OSError(f"{folder}: cannot be written ({error})") from None
        for name in TOKENIZER_FILES:
            if (tokenizer / name).exists():
                shutil.copyfile(tokenizer / name, fresh / name)
        (fresh / "model.safetensors").chmod(0o644)
    write_folder(folder, fill)


def checkpoints(out: Path) -> list[Path]:
    """Return the complete checkpoints of a run, oldest first."""
    return sorted(p for p in (out / "checkpoints").glob("step-*") if (p / "training.pt").exists())


def prune(out: Path, keep: int) -> None:
    """Remove all checkpoints but the last and `keep` before it."""
    for old in checkpoints(out)[:-(keep + 1)]:
        shutil.rmtree(old, ignore_errors=True)
