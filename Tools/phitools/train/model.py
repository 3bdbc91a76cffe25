"""phi for training, and its weights under Hugging Face's names.

It computes the same function as `transformers.PhiForCausalLM` (a test compares logits and gradients). Both branches of
a block read the same normalised input and add to the same residual stream, so a block needs only two matrix products
besides attention: the input projection [q; k; v; fc1], stacked along rows, and the output projection [dense | fc2],
concatenated along columns, with summed biases. These products dominate the time at small widths.
"""
from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import Dropout
from .loss import computed_in, next_token_loss
from .shape import Shape


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply rotary embedding to the first dimensions of each head, half-split. x: [batch, heads, tokens, head]"""
    half = cos.shape[-1]
    a, b, unrotated = x[..., :half], x[..., half:2 * half], x[..., 2 * half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin, unrotated], -1)


class Block(nn.Module):
    """A transformer block: x + dense(attention(norm(x))) + fc2(gelu(fc1(norm(x))))."""

    def __init__(self, shape: Shape, dropout: Dropout) -> None:
        super().__init__()
        self.shape, self.dropout = shape, dropout
        self.norm = nn.LayerNorm(shape.hidden, eps=shape.epsilon)
        self.into = nn.Linear(shape.hidden, 3 * shape.hidden + shape.intermediate)  # [q; k; v; fc1]
        self.out = nn.Linear(shape.hidden + shape.intermediate, shape.hidden)       # [dense | fc2]

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None = None) -> Tensor:
        batch, tokens, hidden = x.shape
        q, k, v, m = self.into(self.norm(x)).split([hidden, hidden, hidden, self.shape.intermediate], -1)
        q, k, v = (t.view(batch, tokens, self.shape.heads, -1).transpose(1, 2) for t in (q, k, v))
        p = self.dropout.attention if self.training else 0.0
        a = F.scaled_dot_product_attention(
            rotate(q, cos, sin), rotate(k, cos, sin), v, attn_mask=mask, dropout_p=p, is_causal=mask is None)
        a, m = a.transpose(1, 2).reshape(batch, tokens, hidden), F.gelu(m, approximate="tanh")
        if self.dropout.residual == 0 or not self.training:
            return x + self.out(torch.cat([a, m], -1))
        w = self.out.weight  # a dropout mask per branch, as in Hugging Face
        attention, mlp = F.linear(a, w[:, :hidden], self.out.bias), F.linear(m, w[:, hidden:])
        return x + F.dropout(attention, self.dropout.residual) + F.dropout(mlp, self.dropout.residual)


class Phi(nn.Module):
    """A phi model, from token ids to logits or, given targets, to the sum of their losses."""

    def __init__(self, shape: Shape, dropout: Dropout = Dropout()) -> None:
        super().__init__()
        self.shape, self.dropout = shape, dropout
        self.embedding = nn.Embedding(shape.rows, shape.hidden)
        self.blocks = nn.ModuleList([Block(shape, dropout) for _ in range(shape.layers)])
        self.norm = nn.LayerNorm(shape.hidden, eps=shape.epsilon)
        self.head = nn.Linear(shape.hidden, shape.rows)
        half = int(shape.hidden // shape.heads * shape.rotary) // 2
        angles = torch.arange(shape.positions)[:, None] / shape.theta ** (torch.arange(half)[None] / half)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self.apply(self._start)

    def _start(self, module: nn.Module) -> None:
        """Initialise weights normally with deviation 1/sqrt(hidden), and biases to 0. That is 0.022 at phi-1's width,
        where Hugging Face has 0.02. At a width of 128, 0.02 makes attention scores start near zero and delays learning
        to copy (a loss 0.12 nats higher after 0.8 million tokens of exercises)."""
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=self.shape.hidden**-0.5)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)

    def hidden_states(self, ids: Tensor, documents: Tensor | None = None) -> Tensor:
        """Return the last hidden states after the final norm: [batch, tokens, hidden]. With `documents`, each token's
        number of a document, attention stays within a document."""
        x = F.dropout(self.embedding(ids), self.dropout.embedding, self.training)
        cos, sin = self.cos[:ids.shape[1]], self.sin[:ids.shape[1]]
        mask = None
        if documents is not None:  # in attention's own type, or each block would convert and keep it
            allowed = (documents[:, None, :, None] == documents[:, None, None, :]).tril()
            mask = torch.zeros(allowed.shape, dtype=computed_in(x), device=x.device).masked_fill_(~allowed, -torch.inf)
        for block in self.blocks:
            x = block(x, cos, sin, mask)
        return self.norm(x)

    def forward(self, ids: Tensor, targets: Tensor | None = None, documents: Tensor | None = None) -> Tensor:
        """Return logits [batch, tokens, rows] or, given targets, the sum of their negative log-likelihoods in nats.
        ids: [batch, tokens]"""
        x = self.hidden_states(ids, documents)
        if targets is None:
            return self.head(x)
        return next_token_loss(x.flatten(0, 1), self.head.weight, self.head.bias, targets.flatten())


def to_hugging_face(shape: Shape, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename weights for `PhiForCausalLM`. The summed output bias becomes dense's, and fc2's is zero."""
    h = shape.hidden
    out = {"model.embed_tokens.weight": state["embedding.weight"], "model.final_layernorm.weight": state["norm.weight"],
           "model.final_layernorm.bias": state["norm.bias"], "lm_head.weight": state["head.weight"],
           "lm_head.bias": state["head.bias"]}
    for i in range(shape.layers):
        ours, theirs = f"blocks.{i}.", f"model.layers.{i}."
        for what in ("weight", "bias"):
            out[f"{theirs}input_layernorm.{what}"] = state[f"{ours}norm.{what}"]
            parts = state[f"{ours}into.{what}"].split([h, h, h, shape.intermediate])
            for name, part in zip(("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.fc1"), parts):
                out[f"{theirs}{name}.{what}"] = part
        dense, fc2 = state[f"{ours}out.weight"].split([h, shape.intermediate], 1)
        out |= {f"{theirs}self_attn.dense.weight": dense, f"{theirs}mlp.fc2.weight": fc2,
                f"{theirs}self_attn.dense.bias": state[f"{ours}out.bias"],
                f"{theirs}mlp.fc2.bias": torch.zeros_like(state[f"{ours}out.bias"])}
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in out.items()}


def from_hugging_face(shape: Shape, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Invert `to_hugging_face`; raise ValueError for a missing tensor or a wrong shape."""
    def get(name: str, *size: int) -> Tensor:
        if name not in weights:
            raise ValueError(f"tensor {name} is missing")
        if tuple(weights[name].shape) != size:
            raise ValueError(f"tensor {name} has shape {tuple(weights[name].shape)} instead of {size}")
        return weights[name].float()
    h, f, rows = shape.hidden, shape.intermediate, shape.rows
    state = {
        "embedding.weight": get("model.embed_tokens.weight", rows, h),
        "norm.weight": get("model.final_layernorm.weight", h),
        "norm.bias": get("model.final_layernorm.bias", h), "head.weight": get("lm_head.weight", rows, h),
        "head.bias": get("lm_head.bias", rows)}
    for i in range(shape.layers):
        ours, theirs = f"blocks.{i}.", f"model.layers.{i}."
        for what, size in (("weight", (h,)), ("bias", ())):
            state[f"{ours}norm.{what}"] = get(f"{theirs}input_layernorm.{what}", h)
            state[f"{ours}into.{what}"] = torch.cat([get(f"{theirs}{n}.{what}", f if n == "mlp.fc1" else h, *size)
                                                     for n in (
                                                         "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                                         "mlp.fc1")])
        state[f"{ours}out.weight"] = torch.cat(
            [get(f"{theirs}self_attn.dense.weight", h, h), get(f"{theirs}mlp.fc2.weight", h, f)], 1)
        state[f"{ours}out.bias"] = get(f"{theirs}self_attn.dense.bias", h) + get(f"{theirs}mlp.fc2.bias", h)
    return state


def deepened(shape: Shape, state: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Return the weights of a model of `layers`, a multiple of `shape.layers`, that computes the same: each block is
    followed by copies whose output is zero (block expansion, https://arxiv.org/abs/2401.02415). Tensors are those of
    `state`, not copies of them."""
    times = layers // shape.layers
    grown: dict[str, Tensor] = {}
    for name, weights in state.items():
        if not name.startswith("blocks."):
            grown[name] = weights
            continue
        _, block, rest = name.split(".", 2)
        for copy in range(times):
            is_zero = copy > 0 and rest.startswith("out.")
            grown[f"blocks.{int(block) * times + copy}.{rest}"] = torch.zeros_like(weights) if is_zero else weights
    return grown
