"""A zoo of small phis that 8-bit activations find hard, and the golden file of what rounding in blocks of 32 costs.

    export PYTHONPATH=Tools:Bench
    python Tools/golden/hard_models.py [--phi PHI [--type q8] [--calibrate none] [--llama BUILD]] [NAME...]

Needs torch and transformers; some minutes. Writes Tests/PhiConvertTests/Goldens/hard-models.json: the mean KL
divergence from float32 (with its standard error) and the share of equal top tokens when the weights and inputs of all
matrices are rounded to 8 bits with a scale for 32 columns, as llama.cpp's Q8_0 does. With --phi it prints what
conversions by that program give instead, and what weights in 4 bits, with a scale for 32 columns as in Q4_0, give; with
a build of llama.cpp also what its files lose, of which "imatrix" has an importance matrix of the calibration text.

A model is a seeded checkpoint (`phitools/seeded.py`) with changes by powers of two; `HardModels.swift` makes the same:

- mlp-constant-N, mlp-tokens-N, mlp-few-N: N channels of each MLP are about 1000, the same for every token, different
  ones, or only for a fiftieth of the tokens.
- residual-constant-N, residual-tokens-N: the first MLP makes N dimensions of the residual stream about 1000 times the
  others, and the norms that follow are used to it.
- value-constant-N, value-tokens-N: N dimensions of each head's values are about 1000.
- key-constant-N: N dimensions of each head's keys that are not rotated have a large bias.
- narrow-N: hidden size N, every eighth column of q, k, v and fc1 four times as wide.
"""
from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import hf_truth
from llama_files import Llama, run
from phitools.byte_tokenizer import END_OF_TEXT_ID
from phitools.seeded import fnv1a, piece, write_checkpoint
from phitools.shapes import Exponents, Shape

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "Tests/PhiConvertTests/Goldens/hard-models.json"
SEQUENCES, TOKENS = 8, 500
WIDE = Shape(
    hidden=256, intermediate=1024, layers=2, heads=4, rows=320, tokens=300, context=512, end_of_text=END_OF_TEXT_ID,
    exponents=Exponents(linear=-3, head=-3, embedding=0, bias=-6, norm=-3))
Tensors = dict[str, torch.Tensor]
LARGE = 2.0**10


def blocks(tensors: Tensors) -> list[str]:
    return sorted({name[: name.index(".self_attn")] for name in tensors if ".self_attn" in name})


def mlp(count: int, kind: str) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        for block in blocks(tensors):
            for channel in range(5, 5 + 61 * count, 61):
                weight, bias = tensors[f"{block}.mlp.fc1.weight"], tensors[f"{block}.mlp.fc1.bias"]
                weight[channel] *= 0 if kind == "constant" else LARGE
                # Twice the deviation of the channel's inputs.
                few = LARGE * -2.5 if kind == "few" else 0
                bias[channel] = LARGE if kind == "constant" else bias[channel] * LARGE + few
                tensors[f"{block}.mlp.fc2.weight"][:, channel] /= LARGE
    return change


def residual(count: int, *, constant: bool) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        chosen = list(range(7, 7 + 15 * count, 15))
        weight, bias = (tensors[f"model.layers.0.mlp.fc2.{kind}"] for kind in ("weight", "bias"))
        for dimension in chosen:
            if constant:
                bias[dimension] = LARGE
            else:
                weight[dimension] *= LARGE
        for name in ("model.layers.1.input_layernorm.weight", "model.final_layernorm.weight"):
            tensors[name] *= 64
            for dimension in chosen:
                tensors[name][dimension] /= 1024
    return change


def values(count: int, *, constant: bool) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        for block in blocks(tensors):
            for row in (head * 64 + 3 * number for head in range(4) for number in range(count)):
                weight, bias = (tensors[f"{block}.self_attn.v_proj.{kind}"] for kind in ("weight", "bias"))
                if constant:
                    bias[row] = LARGE
                else:
                    weight[row] *= LARGE
                tensors[f"{block}.self_attn.dense.weight"][:, row] /= LARGE
    return change


def keys(count: int) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        for block in blocks(tensors):
            for row in (head * 64 + 63 - number for head in range(4) for number in range(count)):
                tensors[f"{block}.self_attn.k_proj.bias"][row] = 256
    return change


def wide_columns(tensors: Tensors) -> None:
    for block in blocks(tensors):
        for module in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.fc1"):
            tensors[f"{block}.{module}.weight"][:, ::8] *= 4


ZOO: dict[str, tuple[Shape, Callable[[Tensors], None]]] = {"ordinary": (WIDE, lambda tensors: None)}
for many in (1, 4, 16):
    for spread in ("constant", "tokens", "few"):
        ZOO[f"mlp-{spread}-{many}"] = (WIDE, mlp(many, spread))
    ZOO[f"residual-constant-{many}"] = (WIDE, residual(many, constant=True))
    ZOO[f"residual-tokens-{many}"] = (WIDE, residual(many, constant=False))
    ZOO[f"value-constant-{many}"] = (WIDE, values(many, constant=True))
    ZOO[f"value-tokens-{many}"] = (WIDE, values(many, constant=False))
    ZOO[f"key-constant-{many}"] = (WIDE, keys(many))
for width, heads in ((64, 4), (128, 2), (176, 11), (320, 5), (512, 8)):
    ZOO[f"narrow-{width}"] = (replace(WIDE, hidden=width, intermediate=4 * width, heads=heads), wide_columns)


def rounded(x: torch.Tensor, largest: int = 127) -> torch.Tensor:
    """Round to integers of at most `largest` with a scale for 32 columns."""
    block = torch.nn.functional.pad(x, (0, -x.shape[-1] % 32)).unflatten(-1, (-1, 32))
    scale = block.abs().amax(-1, keepdim=True).clamp_min(1e-30) / largest
    return ((block / scale).round() * scale).flatten(-2)[..., : x.shape[-1]]


def logits(model: torch.nn.Module, ids: np.ndarray, tokens: int) -> np.ndarray:
    return np.concatenate([hf_truth.logits(model, sequence.tolist())[:, :tokens] for sequence in ids])


def blocks_of_32(folder: Path, ids: np.ndarray, tokens: int, largest: int = 127) -> np.ndarray:
    """Return logits with inputs of matrices rounded to 8 bits, and weights to `largest`, the head's to 8 bits."""
    model = hf_truth.load(folder)
    model.model.embed_tokens.weight.data = rounded(model.model.embed_tokens.weight.data, largest)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.weight.data = rounded(module.weight.data, 127 if name == "lm_head" else largest)
            module.register_forward_pre_hook(lambda _, arguments: (rounded(arguments[0]),))
    return logits(model, ids, tokens)


def divergence(right: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Return the mean KL divergence, its standard error, and the share of equal top tokens."""
    p, q = (torch.from_numpy(x.astype(np.float64)).log_softmax(-1) for x in (right, other))
    kl = (p.exp() * (p - q)).sum(-1)
    same = float((p.argmax(-1) == q.argmax(-1)).double().mean())
    return {"kl": float(kl.mean()), "kl_error": float(kl.std() / len(kl) ** 0.5), "top": same}


def converted(phi: str, folder: Path, ids: np.ndarray, kind: str, calibrate: str) -> np.ndarray:
    file, out = folder / "model.phi", folder / "logits.npy"
    options = [] if kind == "f32" else ["--calibrate", calibrate]
    subprocess.run([phi, "convert", folder, "-o", file, "--type", kind, "--force", *options],
                   check=True, stdout=subprocess.DEVNULL)
    results: list[np.ndarray] = []
    for sequence in ids:
        (folder / "ids.json").write_text(json.dumps(sequence.tolist()))
        subprocess.run([phi, "logits", "-m", file, "--ids", folder / "ids.json", "-o", out], check=True)
        results.append(np.load(out))
    return np.concatenate(results) if results else np.empty(0)


def llama_files(build: Path, folder: Path, phi: str, ids: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Return llama.cpp's logits of all positions but each sequence's last, by type; `folder` has f32's model.phi."""
    llama, whole, windows = Llama(build, folder), folder / "f32.gguf", torch.from_numpy(ids)
    run(phi, "export", "-m", folder / "model.phi", "-o", whole, "--type", "f32")
    importance = llama.importance(whole, ROOT / "Sources/CPhiCalibration/text.txt", 512, 8192)
    for kind, chosen in (("Q8_0", None), ("Q4_K_M", None), ("Q4_K_M", importance)):
        found = llama.logits(llama.quantise(whole, kind, chosen), windows, TOKENS - 1)
        yield f"{kind}{', imatrix' if chosen else ''}", torch.cat(list(found)).numpy()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--phi")
    parser.add_argument("--type", default="q8,q4")
    parser.add_argument("--calibrate", default="builtin,none")
    parser.add_argument("--llama", type=Path, help="the folder in which llama.cpp was built")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    goldens: dict[str, dict[str, float]] = {}
    for name in arguments.names or ZOO:
        shape, change = ZOO[name]
        drawn = piece(fnv1a(b"ids") ^ 1, 0, SEQUENCES * TOKENS).astype(np.int64) + (1 << 23)
        ids = (drawn % shape.tokens).reshape(SEQUENCES, TOKENS)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_checkpoint(folder, shape)
            tensors = load_file(folder / "model.safetensors")
            change(tensors)
            save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
            right = logits(hf_truth.load(folder), ids, shape.tokens)

            def show(label: str, result: dict[str, float], name: str = name) -> None:
                print(f"{name} {label}: KL {result['kl']:.3g} +- {result['kl_error']:.1g}, "
                      f"top {100 * result['top']:.2f}%", flush=True)

            goldens[name] = divergence(right, blocks_of_32(folder, ids, shape.tokens))
            show("8 bits in blocks of 32", goldens[name])
            if arguments.phi:
                show("4 bits in blocks of 32", divergence(right, blocks_of_32(folder, ids, shape.tokens, 7)))
            for kind in arguments.type.split(",") if arguments.phi else ():
                for calibrate in arguments.calibrate.split(",") if kind != "f32" else ("none",):
                    found = converted(arguments.phi, folder, ids, kind, calibrate)
                    show(f"{kind} {calibrate}", divergence(right, found))
            if arguments.phi and arguments.llama:
                converted(arguments.phi, folder, ids[:0], "f32", "none")
                known = right.reshape(SEQUENCES, TOKENS, -1)[:, :-1].reshape(-1, shape.tokens)
                for label, found in llama_files(arguments.llama, folder, arguments.phi, ids):
                    show(label, divergence(known, found[:, : shape.tokens]))
    if not arguments.phi:
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps(goldens, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
