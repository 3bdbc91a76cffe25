"""Measure tokens per second of onnxruntime-genai: python -m compare.onnxruntime_worker MODEL THREADS CASE...

Prefill ends with the choice of the first token. Decode is timed after that; at depth 0 it follows a prompt of a single
token, as in llama-bench.
"""
from __future__ import annotations

import json
import random
import sys
import time
from statistics import mean

import onnxruntime_genai

from compare.cases import BY_NAME, Case


def main() -> None:
    folder, threads, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    config = onnxruntime_genai.Config(folder)
    config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}}))
    model = onnxruntime_genai.Model(config)
    for number, name in enumerate(names):
        case = BY_NAME[name]
        timed(model, Case("warm-up", "", "", prompt=min(case.prompt, 64), generate=8), seed=1000 + number)
        rates = [timed(model, case, 100 * number + i) for i in range(case.repetitions)]
        print(json.dumps({"case": name, "rate": mean(rates)}), flush=True)


def timed(model: onnxruntime_genai.Model, case: Case, seed: int) -> float:
    count, draw = max(case.depth + case.prompt, 1), random.Random(seed)
    settings = onnxruntime_genai.GeneratorParams(model)
    whole = count + case.generate + 1
    settings.set_search_options(do_sample=False, min_length=whole, max_length=whole)
    generator = onnxruntime_genai.Generator(model, settings)
    start = time.perf_counter()
    generator.append_tokens([draw.randrange(50000) for _ in range(count)])
    generator.generate_next_token()
    if case.generate == 0:
        return count / (time.perf_counter() - start)
    start = time.perf_counter()
    for _ in range(case.generate):
        generator.generate_next_token()
    return case.generate / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
