"""Checkpoints in Hugging Face layout, for `phi convert` and `transformers`, with the optimizer's state.

`OUT/checkpoints/step-00000200` holds config.json, model.safetensors, the tokenizer's files and training.pt. A folder
appears only when it is complete, so a kill or a full disk leaves the previous one.
"""
from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..durable import write_folder
from .config import Dropout, Lora
from .model import to_hugging_face
from .shape import Shape

TRAINING = "training.pt"
TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "special_tokens_map.json",
    "added_tokens.json")
KNOWN = {*TOKENIZER_FILES, "config.json", "model.safetensors", "adapter_config.json", "adapter_model.safetensors"}
"""The files of a checkpoint that is not for resuming."""
OURS = ("torch_dtype", "attention_dropout", "resid_pdrop", "embd_pdrop")
"""The keys of config.json that a run sets; it takes the others from the checkpoint that it starts from."""


def hugging_face_config(shape: Shape, end_of_text: int, dropout: Dropout = Dropout()) -> dict[str, Any]:
    """Return config.json, with rotary keys at top level, as read by every version of transformers."""
    return {
        "architectures": ["PhiForCausalLM"], "model_type": "phi", "vocab_size": shape.rows, "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate, "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads, "max_position_embeddings": shape.positions,
        "partial_rotary_factor": shape.rotary,
        "rope_theta": shape.theta, "rope_scaling": None, "hidden_act": "gelu_new", "layer_norm_eps": shape.epsilon,
        "qk_layernorm": False,
        "tie_word_embeddings": False, "use_cache": True, "initializer_range": 0.02, "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "attention_dropout": dropout.attention, "resid_pdrop": dropout.residual, "embd_pdrop": dropout.embedding,
        "torch_dtype": "float32"}


def save(folder: Path, shape: Shape, weights: dict[str, Tensor], tokenizer: Path, settings: dict[str, Any],
         training: dict[str, Any] | None = None, lora: Lora | None = None, base: str = "",
         write_part: Callable[[Path], None] | None = None) -> None:
    """Write a checkpoint with `settings` as config.json, or with `lora` an adapter of `base` as PEFT writes it; with
    `training`, also the state for resuming. With `write_part`, it writes the weights. OSError if the disk is full."""
    def fill(fresh: Path) -> None:
        if lora:
            from . import lora as adapters
            adapters.write_config(fresh, lora, base)
            name, tensors = adapters.WEIGHTS, adapters.to_peft(weights)
        else:
            config = json.dumps(settings, indent=2, sort_keys=True) + "\n"
            (fresh / "config.json").write_text(config, encoding="utf-8")
            name, tensors = "model.safetensors", {} if write_part else to_hugging_face(shape, weights)
        try:
            if write_part:
                write_part(fresh)
            else:
                save_file(tensors, fresh / name, metadata={"format": "pt"})
                (fresh / name).chmod(0o644)
            if training is not None:
                torch.save(training, fresh / TRAINING)
        except OSError:
            raise
        except Exception as error:  # safetensors and torch have exceptions of their own for a full disk
            raise OSError(f"{folder}: cannot be written ({error})") from None
        for file in TOKENIZER_FILES:
            if (tokenizer / file).exists():
                shutil.copyfile(tokenizer / file, fresh / file)
    write_folder(folder, fill)


def read_training(folder: Path) -> dict[str, Any]:
    """Return the state for resuming; ValueError if it is damaged."""
    return _read(folder)


def read_identity(folder: Path) -> str:
    """Return whose checkpoint it is; ValueError if it is damaged. The optimizer's state is not read."""
    return _read(folder, mmap=True)["identity"]


def _read(folder: Path, mmap: bool = False) -> dict[str, Any]:
    path = folder / TRAINING
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
        return {key: state[key] for key in ("step", "identity", "best")} | {"optimizer": state.get("optimizer", {})}
    except Exception as error:
        raise ValueError(
            f"{path}: cannot be read ({' '.join(str(error).split())[:200]}); remove {folder} to go on from the "
            "checkpoint before") from None


def checkpoints(out: Path) -> list[Path]:
    """Return the complete checkpoints of a run, oldest first."""
    return sorted(p for p in (out / "checkpoints").glob("step-*") if (p / TRAINING).exists())


def prune(out: Path, keep: int) -> None:
    """Remove all checkpoints but the last and `keep` before it."""
    for old in checkpoints(out)[:-(keep + 1)]:
        shutil.rmtree(old, ignore_errors=True)
