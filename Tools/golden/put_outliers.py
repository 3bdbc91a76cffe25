"""Put outliers of about 1000 into a trained phi without changing its function: a checkpoint that quantisers find hard.

    python Tools/golden/put_outliers.py CHECKPOINT OUT

Needs torch and safetensors, and one model.safetensors. By powers of two, in each block: an output of the norm, three
values and a constant key, and three more channels of the MLP, of which one is constant and two cancel each other for
every token. `TrainedOutlierTests.swift` does the same to the built-in model.
"""
from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

LARGE = 1024.0
NORM, VALUES, KEY, CHANNEL = 11, [5, 37, 101], 31, 3


def change_block(tensors: dict[str, torch.Tensor], block: str) -> None:
    def of(name: str) -> torch.Tensor:
        return tensors[f"{block}.{name}"]

    for kind in ("weight", "bias"):
        of(f"input_layernorm.{kind}")[NORM] *= LARGE
        of(f"self_attn.v_proj.{kind}")[VALUES] *= LARGE
    for name in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.fc1"):
        of(f"{name}.weight")[:, NORM] /= LARGE
    of("self_attn.dense.weight")[:, VALUES] /= LARGE
    of("self_attn.k_proj.bias")[KEY] += 256
    fc1, bias, fc2 = of("mlp.fc1.weight"), of("mlp.fc1.bias"), of("mlp.fc2.weight")
    row, column = fc1[CHANNEL] * LARGE, fc2[:, CHANNEL] / LARGE
    tensors[f"{block}.mlp.fc1.weight"] = torch.cat([fc1, torch.stack([row, row, 0 * row])])
    tensors[f"{block}.mlp.fc1.bias"] = torch.cat([bias, torch.tensor([bias[CHANNEL] * LARGE] * 2 + [LARGE])])
    tensors[f"{block}.mlp.fc2.weight"] = torch.cat([fc2, torch.stack([column, -column, column], 1)], 1).contiguous()
    of("mlp.fc2.bias").sub_(column * LARGE)


def main() -> int:
    if len(sys.argv) != 3:
        sys.exit("usage: put_outliers.py CHECKPOINT OUT")
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    tensors = {name: tensor.float() for name, tensor in load_file(source / "model.safetensors").items()}
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    for block in range(config["num_hidden_layers"]):
        change_block(tensors, f"model.layers.{block}")
    shutil.copytree(source, target)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    config["intermediate_size"] += 3
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
