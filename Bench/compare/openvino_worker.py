"""Measure tokens per second by OpenVINO GenAI's metrics: python -m compare.openvino_worker MODEL THREADS CASE...

Prompts are different sequences of arbitrary tokens, so that no prefix cache hits. Prefill: the prompt's tokens over the
time to the first token. Decode: the inverse of the mean time per token after the first.
"""
from __future__ import annotations

import sys

import numpy as np
import openvino
import openvino_genai

from compare.cases import Case
from compare.worker import prompt, report


def main() -> None:
    model, threads, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    pipeline = openvino_genai.LLMPipeline(
        model, "CPU", INFERENCE_NUM_THREADS=threads, PERFORMANCE_HINT="LATENCY")
    report(names, lambda case, seed: timed(pipeline, case, seed))


def timed(pipeline: openvino_genai.LLMPipeline, case: Case, seed: int) -> float:
    ids = np.array([prompt(case, seed)], dtype=np.int64)
    inputs = openvino_genai.TokenizedInputs(openvino.Tensor(ids), openvino.Tensor(np.ones_like(ids)))
    settings = openvino_genai.GenerationConfig()
    settings.max_new_tokens = settings.min_new_tokens = case.generate + 1 if case.generate else 1
    settings.ignore_eos = True
    settings.do_sample = False
    metrics = pipeline.generate(inputs, settings).perf_metrics
    if case.generate == 0:
        return ids.size / (metrics.get_ttft().mean * 1e-3)
    made = metrics.get_num_generated_tokens()
    if made != case.generate + 1:
        sys.exit(f"{made} tokens were generated instead of {case.generate + 1}")
    return 1e3 / metrics.get_tpot().mean


if __name__ == "__main__":
    main()
