"""Checkpoints of phi in Hugging Face layout as they are found: one file or several, safetensors or .bin, in float32,
float16 or bfloat16. What would change the computation in a way that the trainer doesn't have is refused by name."""
from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from .model import from_hugging_face
from .shape import Shape

GELU = {"gelu_new", "gelu_pytorch_tanh"}
"""The names of the tanh approximation."""
MOST_ROWS = 1 << 16
"""Tokens that packed data, of 16 bits each, can name."""
TENSOR = re.compile(
    r"(?:model\.(?:embed_tokens|final_layernorm|layers\.\d+\.(?:input_layernorm|self_attn\.(?:[qkv]_proj|dense)|"
    r"mlp\.fc[12]))|lm_head)\.(?:weight|bias)|.*\.(?:inv_freq|masked_bias|attn\.bias)")
"""The names of a phi's tensors, and of the tables that old versions stored with them."""


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json's keys; ValueError unless it is a phi's."""
    path = folder / "config.json"
    try:
        keys = json.loads(path.read_text(encoding="utf-8"))
        if keys.get("model_type") != "phi":
            raise ValueError(f"model_type is {keys.get('model_type')!r}")
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: not a phi checkpoint ({type(error).__name__}: {error})") from None
    return {k: v for k, v in keys.items() if k != "dtype"}  # torch_dtype's new name


def read_shape(folder: Path) -> Shape:
    """The shape in config.json of a phi checkpoint; ValueError names a missing or unsupported key."""
    path, c = folder / "config.json", read_config(folder)
    rope, scaling = (c.get(key) or {} for key in ("rope_parameters", "rope_scaling"))
    for key, value in (("rope_parameters", rope), ("rope_scaling", scaling)):
        if not isinstance(value, dict):
            raise ValueError(f"{path}: {key} = {json.dumps(value)} is not supported")
    kind = scaling.get("rope_type", scaling.get("type")) or rope.get("rope_type", "default")
    refused = {
        "qk_layernorm": bool(c.get("qk_layernorm")),
        "hidden_act": c.get("hidden_act", "gelu_new") not in GELU,
        "rope_scaling": kind != "default",
        "num_key_value_heads": (c.get("num_key_value_heads") or c.get("num_attention_heads"))
        != c.get("num_attention_heads"),
        "tie_word_embeddings": bool(c.get("tie_word_embeddings")),
        "quantization_config": bool(c.get("quantization_config"))}
    for key, wrong in refused.items():
        if wrong:
            raise ValueError(f"{path}: {key} = {json.dumps(c.get(key, rope or scaling))} is not supported")
    try:
        shape = Shape(
            c["vocab_size"], c["hidden_size"], c["num_hidden_layers"], c["num_attention_heads"], c["intermediate_size"],
            c["max_position_embeddings"],
            float(rope.get("partial_rotary_factor", c.get("partial_rotary_factor", 0.5))),
            float(rope.get("rope_theta", c.get("rope_theta", 10000.0))), float(c.get("layer_norm_eps", 1e-5)))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path}: not a phi checkpoint ({type(error).__name__}: {error})") from None
    if not 0 <= shape.rotary <= 1:
        raise ValueError(f"{path}: partial_rotary_factor = {shape.rotary} is not between 0 and 1")
    if not 0 < shape.theta < float("inf"):
        raise ValueError(f"{path}: rope_theta = {shape.theta} is not positive")
    sizes = (shape.rows, shape.hidden, shape.layers, shape.heads, shape.intermediate, shape.positions)
    if not all(isinstance(n, int) and 0 < n < 1 << 24 for n in sizes) or shape.hidden % shape.heads:
        raise ValueError(f"{path}: {shape} is no phi's shape")
    if shape.rows > MOST_ROWS:
        raise ValueError(f"{path}: vocab_size = {shape.rows}: more than {MOST_ROWS:,} tokens are not supported")
    return shape


def weight_files(folder: Path) -> list[Path]:
    """Return the files of a checkpoint's weights, safetensors if there are both."""
    for whole in ("model.safetensors", "pytorch_model.bin"):
        index = folder / f"{whole}.index.json"
        if (folder / whole).is_file():
            return [folder / whole]
        if index.is_file():
            try:
                names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"{index}: not an index of weights ({type(error).__name__}: {error})") from None
            if not names or any(Path(n).name != n for n in names):
                raise ValueError(f"{index}: names files outside its folder")
            return [folder / n for n in names]
    raise ValueError(f"{folder}: has neither model.safetensors nor pytorch_model.bin, nor an index of either")


def load_weights(folder: Path, shape: Shape) -> dict[str, Tensor]:
    """Load a checkpoint's weights under this package's names, in float32."""
    weights: dict[str, Tensor] = {}
    for path in weight_files(folder):
        try:
            weights |= load_file(path) if path.suffix == ".safetensors" else torch.load(
                path, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:  # safetensors and torch have exceptions of their own
            raise ValueError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]})") from None
    try:
        if unknown := [n for n in weights if not TENSOR.fullmatch(n)]:
            raise ValueError(f"tensor {unknown[0]} is of no phi")
        return from_hugging_face(shape, weights)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
