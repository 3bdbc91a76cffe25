"""Write the golden log-probabilities of the small model for the Swift tests.

    python Tools/golden/small_model.py CHECKPOINT build/golden/small

Takes seconds. The output folder contains
- `ids.json`: 256 token ids, one sequence, the start of the text below;
- `logits.npy`: float16 [256, vocabulary], natural-log softmax of the logits at each position, computed in float32 and
  rounded last;
- `meta.json`: versions, settings, the checkpoint's digest, and the mean negative log-likelihood of the sequence, for
  comparison by a test.

The text is ordinary Python written for this purpose and absent from our training data.
"""
from __future__ import annotations

import argparse
import hashlib
import json
import platform
from pathlib import Path

import numpy as np
import tokenizers
import torch
import transformers
from transformers import PhiForCausalLM, PreTrainedTokenizerFast

LENGTH = 256
SEED = 1337
TEXT = '''def count_passing(scores: dict[str, int], mark: int) -> int:
    """Count the students whose score reaches the mark."""
    count = 0
    for name, score in scores.items():
        if score >= mark:
            count += 1
    return count


def hide_middle(text: str) -> str:
    """Replace all but the first and the last character by '*'.

    >>> hide_middle('garden')
    'g****n'
    """
    if len(text) <= 2:
        return text
    return text[0] + '*' * (len(text) - 2) + text[-1]


class Thermostat:
    """Keep a room between two temperatures."""

    def __init__(self, low: float = 18.5, high: float = 21.0) -> None:
        self.low = low
        self.high = high
        self.heating = False

    def update(self, temperature: float) -> bool:
        """Switch the heating and return whether it is on."""
        if temperature < self.low:
            self.heating = True
        elif temperature > self.high:
            self.heating = False
        return self.heating


def pairs(values):
    """Yield every pair of neighbours, e.g. (1, 2), (2, 3)."""
    previous = None
    for index, value in enumerate(values):
        if index > 0:
            yield previous, value
        previous = value


def parse_version(line):
    # "v1.2.3" -> (1, 2, 3)
    major, minor, patch = line.strip().lstrip("v").split(".")
    return int(major), int(minor), int(patch)
'''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(args.checkpoint)
    model = PhiForCausalLM.from_pretrained(args.checkpoint, dtype=torch.float32, attn_implementation="eager").eval()
    ids: list[int] = tokenizer(TEXT)["input_ids"][:LENGTH]
    if len(ids) < LENGTH:
        raise SystemExit(f"the text has only {len(ids)} tokens")
    with torch.no_grad():
        log_probabilities = torch.log_softmax(
            model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float(), dim=-1)
    nll = -log_probabilities[:-1].gather(1, torch.tensor(ids[1:])[:, None]).mean().item()
    args.out.mkdir(parents=True, exist_ok=True)
    np.save(args.out / "logits.npy", log_probabilities.numpy().astype(np.float16))
    (args.out / "ids.json").write_text(json.dumps(ids) + "\n")
    meta = {
        "what": "log-softmax of the logits, natural log, float16 [positions, vocabulary]",
        "shape": list(log_probabilities.shape),
        "mean_negative_log_likelihood": nll,
        "checkpoint_sha256": hashlib.sha256((args.checkpoint / "model.safetensors").read_bytes()).hexdigest(),
        "compute": "float32, eager attention, CPU",
        "seed": SEED,
        "versions": {"python": platform.python_version(), "torch": torch.__version__,
                     "transformers": transformers.__version__, "tokenizers": tokenizers.__version__,
                     "numpy": np.__version__},
    }
    (args.out / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")
    print(json.dumps(meta, indent=2))


if __name__ == "__main__":
    main()
