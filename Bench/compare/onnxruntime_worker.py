"""Measure tokens per second of onnxruntime-genai: python -m compare.onnxruntime_worker MODEL THREADS CASE...

Prefill ends with the choice of the first token. Decode is timed after that.
"""
from __future__ import annotations

import json
import sys
import time

import onnxruntime_genai

from compare.cases import Case
from compare.worker import prompt, report


def main() -> None:
    folder, threads, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    config = onnxruntime_genai.Config(folder)
    config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}}))
    model = onnxruntime_genai.Model(config)
    report(names, lambda case, seed: timed(model, case, seed))


def timed(model: onnxruntime_genai.Model, case: Case, seed: int) -> float:
    ids = prompt(case, seed)
    settings = onnxruntime_genai.GeneratorParams(model)
    whole = len(ids) + case.generate + 1
    settings.set_search_options(do_sample=False, min_length=whole, max_length=whole)
    generator = onnxruntime_genai.Generator(model, settings)
    start = time.perf_counter()
    generator.append_tokens(ids)
    generator.generate_next_token()
    if case.generate == 0:
        return len(ids) / (time.perf_counter() - start)
    start = time.perf_counter()
    for _ in range(case.generate):
        generator.generate_next_token()
    return case.generate / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
