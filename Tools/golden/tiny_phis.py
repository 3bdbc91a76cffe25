"""Golden files for the forward pass: Hugging Face's float32 logits of small seeded phis of many shapes.

    PYTHONPATH=Tools python Tools/golden/tiny_phis.py            needs torch and transformers; ten seconds

Writes Tests/PhiTests/Goldens/NAME for each shape below: config.json, ids.json (the prompt), logits.npy (float32
[tokens, real vocabulary], the logits after each id) and meta.json; and generated-tokenizer-290.json, the tokenizer.json
of all shapes. Weights are not stored: any program can reproduce them from the tensors' names by the rule at the top of
`phitools/seeded.py` (values, exponents by kind, order of tensors), with the `base_seed` and `exponents` of meta.json.
Weights are [outputs, inputs] as in the checkpoint; embedding and head have `vocab_size` rows, padding included.
`weights_sha256` is the SHA-256 of all tensors in the rule's order as little-endian float32.

The ids are v + 2^23, modulo the real vocabulary, of a tensor named `ids`, with the first two replaced by 0 and the last
real token. `float32_error` is the error of float32: the largest difference from the logits in float64 (except rotary
frequencies and softmax, which Hugging Face computes in float32), in standard deviations of the logits. `sensitivity` is
the change of the logits, in the same unit, caused by one deliberate mistake; a test's tolerance must lie between them.
"""
from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import hf_truth
from phitools.byte_tokenizer import END_OF_TEXT_ID, generated_tokenizer
from phitools.seeded import fnv1a, piece, write_checkpoint
from phitools.shapes import Exponents, Shape

GOLDENS = Path(__file__).resolve().parents[2] / "Tests/PhiTests/Goldens"
BASE_SEED = 1
SMALL = Shape(
    hidden=0, intermediate=0, layers=2, heads=0, rows=300, tokens=290, context=128, end_of_text=END_OF_TEXT_ID,
    exponents=Exponents(linear=-3, head=-2, embedding=0, bias=-3, norm=-2))
TINY: dict[str, tuple[Shape, int]] = {  # shape and number of ids
    "three-heads": (replace(SMALL, hidden=192, intermediate=200, heads=3), 41),
    "head-size-80": (replace(SMALL, hidden=160, intermediate=330, heads=2, rotary_factor=0.4), 64),
    "grouped-query": (replace(SMALL, hidden=256, intermediate=300, heads=4, kv_heads=2), 50),
    "one-kv-head-full-rotary": (
        replace(SMALL, hidden=128, intermediate=136, heads=4, kv_heads=1, rotary_factor=1.0), 47),
    "head-size-32": (replace(SMALL, hidden=96, intermediate=130, heads=3), 77),
    "width-40": (replace(SMALL, hidden=40, intermediate=72, heads=5,
                         exponents=replace(SMALL.exponents, linear=-2, head=-1)), 100),
    "three-layers": (replace(SMALL, hidden=128, intermediate=500, layers=3, heads=2), 63),
    "eleven-heads": (replace(SMALL, hidden=176, intermediate=190, heads=11), 53),
}


def prompt(shape: Shape, count: int) -> list[int]:
    v = piece(fnv1a(b"ids") ^ BASE_SEED, 0, count).astype(np.int64)
    ids = ((v + (1 << 23)) % shape.tokens).tolist()
    return [0, shape.tokens - 1, *ids[2:]]


def sensitivity(model: Any, ids: list[int], right: np.ndarray) -> dict[str, float]:
    """Return the change of the logits, in standard deviations, for each deliberate mistake. Modifies the model."""
    config = model.config
    std = float(right.std())

    def moved() -> float:
        return float(np.abs(hf_truth.logits(model, ids)[:, : right.shape[1]] - right).max() / std)

    wrong: dict[str, float] = {}
    rotary = model.model.rotary_emb
    frequencies = rotary.inv_freq.clone()
    rotary.inv_freq.copy_(frequencies * (1 + 1e-3))
    wrong["rotary frequencies 0.1% higher"] = moved()
    rotary.inv_freq.copy_(frequencies)
    activations = [layer.mlp.activation_fn for layer in model.model.layers]
    for layer in model.model.layers:
        layer.mlp.activation_fn = torch.nn.GELU()
    wrong["gelu by erf, not gelu_new"] = moved()
    for layer, activation in zip(model.model.layers, activations):
        layer.mlp.activation_fn = activation
    final_norm = model.model.final_layernorm
    final_norm.eps *= 10
    wrong["final norm's epsilon 1e-4"] = moved()
    final_norm.eps /= 10
    if 1 < config.num_key_value_heads < config.num_attention_heads:
        for layer in model.model.layers:  # the wrong grouping: head h reads h mod kv, not h / (heads / kv)
            size, heads, kv = layer.self_attn.head_dim, config.num_attention_heads, config.num_key_value_heads
            order = [h % kv * (heads // kv) + h // kv for h in range(heads)]
            wq, wo = layer.self_attn.q_proj, layer.self_attn.dense
            rows = torch.cat([torch.arange(o * size, (o + 1) * size) for o in order])
            wq.weight.data, wq.bias.data = wq.weight.data[rows], wq.bias.data[rows]
            wo.weight.data = wo.weight.data[:, rows]
        wrong["query heads grouped otherwise"] = moved()
    return wrong


def make(name: str, shape: Shape, count: int) -> None:
    ids = prompt(shape, count)
    with tempfile.TemporaryDirectory() as folder:
        write_checkpoint(Path(folder), shape, base_seed=BASE_SEED)
        model = hf_truth.load(Path(folder))
        exact = hf_truth.logits(hf_truth.load(Path(folder), torch.float64), ids)[:, : shape.tokens]
        config = (Path(folder) / "config.json").read_text()
    assert model.model.rotary_emb.inv_freq.numel() * 2 == int(shape.head_size * shape.rotary_factor)
    logits = hf_truth.logits(model, ids)[:, : shape.tokens]
    std = float(logits.std())
    distances = np.abs(logits[:, None] - logits[None]).max(2)
    np.fill_diagonal(distances, np.inf)
    assert distances.min() > 0.1 * std, f"{name}: two positions have nearly the same logits"
    meta = {
        "command": "python Tools/golden/tiny_phis.py",
        "base_seed": BASE_SEED,
        "exponents": asdict(shape.exponents),
        "tokens": shape.tokens,
        "weights_sha256": hf_truth.weights_sha256(shape, BASE_SEED),
        "logits_std": std,
        "float32_error": float(np.abs(logits - exact).max() / std),
        "sensitivity": sensitivity(model, ids, logits),
        "versions": hf_truth.versions(),
    }
    hf_truth.write_golden(GOLDENS / name, ids, logits, meta)
    (GOLDENS / name / "config.json").write_text(config)
    print(f"{name}: {count} ids, std {std:.3f}, nearest positions {distances.min() / std:.2f} std apart, "
          f"float32 error {meta['float32_error']:.1e} std")
    for fault, distance in meta["sensitivity"].items():
        print(f"    {fault}: {distance:.2g} std")


def main() -> int:
    torch.set_num_threads(1)
    GOLDENS.mkdir(parents=True, exist_ok=True)
    text = json.dumps(generated_tokenizer(SMALL.tokens), ensure_ascii=False, separators=(",", ":"))
    (GOLDENS / f"generated-tokenizer-{SMALL.tokens}.json").write_text(text + "\n", encoding="utf-8")
    for name, (shape, count) in TINY.items():
        make(name, shape, count)
    return 0


if __name__ == "__main__":
    sys.exit(main())
