"""Document embeddings: the mean of a phi's last hidden states over a document's first tokens. Needs PyTorch."""
from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from ..train.base import load_weights, read_shape
from ..train.model import Phi
from . import bpe


class Embedder:
    """An embedding model from a checkpoint in Hugging Face layout."""

    def __init__(self, checkpoint: Path, tokens: int = 256) -> None:
        shape = read_shape(checkpoint)
        self.model = Phi(shape).eval()
        self.model.load_state_dict(load_weights(checkpoint, shape))
        self.tokenizer, self.tokens = bpe.load(checkpoint), min(tokens, shape.positions)

    @torch.no_grad()
    def __call__(self, texts: Iterable[str], batch: int = 32) -> np.ndarray:
        """Return embeddings as float32 [documents, hidden]. Padding has no effect on them, as attention is causal."""
        rows, iterator = [], iter(texts)
        while part := list(islice(iterator, batch)):
            encoded = [e.ids[:self.tokens] or [0] for e in self.tokenizer.encode_batch(part)]
            longest = max(map(len, encoded))
            ids = torch.tensor([e + [0] * (longest - len(e)) for e in encoded])
            mask = torch.arange(longest)[None] < torch.tensor([len(e) for e in encoded])[:, None]
            states = self.model.hidden_states(ids) * mask[..., None]
            rows.append((states.sum(1) / mask.sum(1, keepdim=True)).numpy())
        return np.concatenate(rows) if rows else np.empty((0, self.model.shape.hidden), np.float32)
