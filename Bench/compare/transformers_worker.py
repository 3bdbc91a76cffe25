"""Measure tokens per second of a plain forward pass with KV cache.

    python -m compare.transformers_worker CHECKPOINT DTYPE THREADS CASE...
"""
from __future__ import annotations

import json
import sys
import time
from statistics import mean

import torch
from transformers import AutoModelForCausalLM

from compare.cases import BY_NAME, Case


def main() -> None:
    checkpoint, dtype, threads, names = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=getattr(torch, dtype)).eval()
    with torch.inference_mode():
        for name in names:
            case = BY_NAME[name]
            timed(model, Case("warm-up", "", "", prompt=min(case.prompt, 64), generate=min(case.generate, 2)))
            print(
                json.dumps({"case": name, "rate": mean(timed(model, case) for _ in range(case.repetitions))}),
                flush=True)


def timed(model: torch.nn.Module, case: Case) -> float:
    cache = None
    if case.depth:
        cache = model(made_up(case.depth), use_cache=True, logits_to_keep=1).past_key_values
    start = time.perf_counter()
    token = made_up(1)
    if case.prompt:
        result = model(made_up(case.prompt), past_key_values=cache, use_cache=True, logits_to_keep=1)
        token, cache = result.logits[:, -1:].argmax(-1), result.past_key_values
    for _ in range(case.generate):
        result = model(token, past_key_values=cache, use_cache=True)
        token, cache = result.logits[:, -1:].argmax(-1), result.past_key_values
    return (case.prompt + case.generate) / (time.perf_counter() - start)


def made_up(count: int) -> torch.Tensor:
    return torch.randint(50000, (1, count))


if __name__ == "__main__":
    main()
