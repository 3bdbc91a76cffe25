"""Named shapes of phi checkpoints, with their `config.json` and their tensors in file order.

A library module for `seeded.py` and Tools/golden.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Exponents:
    """Exponents of the powers of two that scale seeded values, by kind of tensor; `seeded.py` has the rule."""

    linear: int = -5
    head: int = -5
    embedding: int = -4
    bias: int = -6
    norm: int = -3


@dataclass(frozen=True)
class Shape:
    """The dimensions in a phi's `config.json`, and the number of real tokens; `rows` is the padded vocabulary."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int | None = None
    rotary_factor: float = 0.5
    rows: int = 51200
    tokens: int = 50295
    context: int = 2048
    end_of_text: int = 50256
    exponents: Exponents = field(default_factory=Exponents)

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads

    @property
    def key_size(self) -> int:
        return (self.kv_heads or self.heads) * self.head_size

    def check(self) -> None:
        """Raise ValueError for a shape that no phi has; the limits are those of `Formats/phi-file.md`."""
        for name, value, least, most in (
                ("hidden", self.hidden, 1, 1 << 16), ("intermediate", self.intermediate, 1, 1 << 18),
                ("layers", self.layers, 1, 1024), ("heads", self.heads, 1, 1024),
                ("kv heads", self.heads if self.kv_heads is None else self.kv_heads, 1, 1024),
                ("rotary factor", self.rotary_factor, 0, 1), ("tokens", self.tokens, 1, 1 << 20),
                ("rows", self.rows, self.tokens, float("inf")), ("context", self.context, 1, 1 << 20),
                ("end of text", self.end_of_text, 0, self.tokens - 1)):
            if not least <= value <= most:
                limit = f", at most {most}" if most < float("inf") else ""
                raise ValueError(f"{name} {value} is to be {least} or more{limit}")
        if self.hidden % self.heads or self.heads % (self.kv_heads or self.heads):
            raise ValueError(
                f"{self.heads} heads must divide hidden {self.hidden}, and kv heads {self.kv_heads} must divide heads")
        rotated = int(self.head_size * self.rotary_factor)
        if self.head_size > 1024 or rotated % 2:
            raise ValueError(
                f"a head has {self.head_size} dimensions, {rotated} of them rotated; it can have 1024, and rotate an "
                "even number of them; choose other heads or another rotary factor")

    def config(self, dtype: str = "float32") -> dict[str, Any]:
        """Return `config.json`, with the rotary keys at top level as in Microsoft's checkpoints."""
        return {
            "architectures": ["PhiForCausalLM"],
            "attention_dropout": 0.0,
            "bos_token_id": self.end_of_text,
            "embd_pdrop": 0.0,
            "eos_token_id": self.end_of_text,
            "hidden_act": "gelu_new",
            "hidden_size": self.hidden,
            "initializer_range": 0.02,
            "intermediate_size": self.intermediate,
            "layer_norm_eps": 1e-05,
            "max_position_embeddings": self.context,
            "model_type": "phi",
            "num_attention_heads": self.heads,
            "num_hidden_layers": self.layers,
            "num_key_value_heads": self.kv_heads,
            "partial_rotary_factor": self.rotary_factor,
            "qk_layernorm": False,
            "resid_pdrop": 0.0,
            "rope_scaling": None,
            "rope_theta": 10000.0,
            "tie_word_embeddings": False,
            "torch_dtype": dtype,
            "use_cache": True,
            "vocab_size": self.rows,
        }

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...], str]]:
        """Yield each tensor's name, shape and kind (a field of `Exponents`) in file order."""
        yield "model.embed_tokens.weight", (self.rows, self.hidden), "embedding"
        for i in range(self.layers):
            block = f"model.layers.{i}."
            for name, rows, columns in (
                ("self_attn.q_proj", self.hidden, self.hidden),
                ("self_attn.k_proj", self.key_size, self.hidden),
                ("self_attn.v_proj", self.key_size, self.hidden),
                ("self_attn.dense", self.hidden, self.hidden),
                ("mlp.fc1", self.intermediate, self.hidden),
                ("mlp.fc2", self.hidden, self.intermediate),
            ):
                yield f"{block}{name}.weight", (rows, columns), "linear"
                yield f"{block}{name}.bias", (rows,), "bias"
            yield f"{block}input_layernorm.weight", (self.hidden,), "norm"
            yield f"{block}input_layernorm.bias", (self.hidden,), "bias"
        yield "model.final_layernorm.weight", (self.hidden,), "norm"
        yield "model.final_layernorm.bias", (self.hidden,), "bias"
        yield "lm_head.weight", (self.rows, self.hidden), "head"
        yield "lm_head.bias", (self.rows,), "bias"


SHAPES: dict[str, Shape] = {
    "phi-1": Shape(hidden=2048, intermediate=8192, layers=24, heads=32),
    "phi-1.5": Shape(hidden=2048, intermediate=8192, layers=24, heads=32),
    "phi-2": Shape(hidden=2560, intermediate=10240, layers=32, heads=32, kv_heads=32, rotary_factor=0.4),
    "phi-1-small": Shape(hidden=1024, intermediate=4096, layers=20, heads=16),
}
