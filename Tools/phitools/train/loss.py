"""Next-token cross entropy with the head inside, in pieces: logits of the whole batch never exist at once, and only
those of targets are computed.

The forward pass turns each chunk's logits into their gradient in place, while they are cached; the backward pass only
scales the accumulated gradients.
"""
from __future__ import annotations

import torch
from torch import Tensor

PIECE = 1024
"""Positions per chunk."""

IGNORED = -100
"""The target of a position without one, as in PyTorch and Hugging Face."""


def targets_of(rows: Tensor, wanted: Tensor) -> Tensor:
    """The targets of rows of ids: each id's successor, or IGNORED where `wanted` is 0. rows: [batch, tokens + 1],
    wanted: [batch, tokens]"""
    return rows[:, 1:].masked_fill(wanted == 0, IGNORED)


def computed_in(x: Tensor) -> torch.dtype:
    """The type in which products of `x` are computed: autocast's, or its own."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        kind = computed_in(x)
        n, w, b = x.shape[0], weight.to(kind), bias.to(kind)
        needs = any(ctx.needs_input_grad[:3])
        gx = torch.empty_like(x) if needs else None
        gw, gb = (torch.zeros_like(weight), torch.zeros_like(bias)) if any(ctx.needs_input_grad[1:3]) else (None, None)
        total = torch.zeros((), dtype=torch.float32, device=x.device)
        with torch.autocast(x.device.type, enabled=False):
            for i in range(0, n, PIECE):
                piece, wanted = x[i:i + PIECE].to(kind), targets[i:i + PIECE, None]
                logits = torch.addmm(b, piece, w.t()).float()
                largest = logits.logsumexp(-1, keepdim=True)
                total += (largest - logits.gather(1, wanted)).sum()
                if needs:
                    logits.sub_(largest).exp_()
                    logits.scatter_add_(1, wanted, torch.full_like(wanted, -1, dtype=logits.dtype))
                    gradient = logits.to(kind)
                    gx[i:i + PIECE] = gradient @ w
                    if gw is not None:  # not with LoRA, which leaves the head alone
                        gb += logits.sum(0)
                        gw += gradient.t() @ piece
        if needs:
            ctx.save_for_backward(gx, gw, gb)
        return total

    @staticmethod
    def backward(ctx, scale: Tensor):  # type: ignore[override]
        gx, gw, gb = ctx.saved_tensors
        return gx * scale, None if gw is None else gw * scale, None if gb is None else gb * scale, None


@torch.compiler.disable  # compiled on a GPU (PyTorch 2.11, bf16) the loss does not fall
def next_token_loss(x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Sum of -log softmax(x @ weight.T + bias)[target], in nats. x: [positions, hidden], weight: [rows, hidden],
    targets: [positions] (int64)"""
    counted = (targets != IGNORED).nonzero().squeeze(1)  # the only synchronisation with a GPU in a pass
    if len(counted) < len(targets):
        x, targets = x.index_select(0, counted), targets[counted]
    return _HeadLoss.apply(x, weight, bias, targets)
