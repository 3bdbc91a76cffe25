"""Requests to an OpenAI-compatible endpoint for `annotate`, `textbooks` and `exercises`.

datatrove's inference runner provides retries, a cache of answers on disk, and resumption.
"""
from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.writers.jsonl import JsonlWriter

from .steps import DOCUMENTS, name

KEY = "PHITOOLS_API_KEY"
"""The environment variable with the endpoint's key, which thus appears in no command line or manifest."""


def runner(rollout: Any, url: str, model: str, out: Path, adapter: Any, concurrent: int = 16) -> InferenceRunner:
    """The step that sends requests and writes `adapter`'s result for each answer into the step's folder."""
    configuration = InferenceConfig(
        server_type="endpoint", endpoint_url=url, model_name_or_path=model, api_key=os.environ.get(KEY),
        max_concurrent_generations=concurrent, request_timeout=300.0, metric_interval=600)
    writer = JsonlWriter(
        str(out / DOCUMENTS), output_filename="${rank}_${chunk_index}.jsonl", compression=None, adapter=adapter)
    return InferenceRunner(
        rollout_fn=rollout, config=configuration, output_writer=writer,
        checkpoints_local_dir=str(out / "logs" / "answers"), records_per_chunk=500,
        metadata_key="answers", skip_bad_requests=True)


def annotated(self: Any, d: Document) -> dict[str, Any]:
    """The adapter of `annotate`: adds the label to the document."""
    answer = (d.metadata.get("answers") or [None])[0] or {}
    return {
        "text": d.text, "id": d.id,
        "metadata": {k: v for k, v in d.metadata.items() if k != "answers"} | {"label": answer.get("label", 0)}}


def written(self: Any, d: Document) -> dict[str, Any]:
    """The adapter of `textbooks` and `exercises`: the answer becomes the document."""
    answer = (d.metadata.get("answers") or [""])[0]
    text = answer if isinstance(answer, str) else getattr(answer, "text", "") or answer.get("text", "")
    return {"text": text, "id": name(text), "metadata": {k: v for k, v in d.metadata.items() if k != "answers"}}


async def write(document: Document, generate: Any) -> Any:
    """Send the document as a request and return the answer (a datatrove rollout)."""
    result = await generate(
        {"messages": [{"role": "user", "content": document.text}], "max_tokens": 1500, "temperature": 0.8})
    return result.text


TOPICS = (
    "lists", "dictionaries", "strings", "recursion", "sorting", "searching", "sets", "tuples", "files of text",
    "number systems", "primes", "matrices",
    "dates", "simple simulation", "graphs", "stacks and queues", "bit operations", "probability", "geometry",
    "text formatting")
AUDIENCES = (
    "young students", "readers without a background in computing", "high school students", "engineers",
    "researchers in biology", "experienced programmers")
VERBS = (
    "count", "find", "remove", "merge", "group", "sort", "check", "convert", "compare", "split", "sum", "rotate",
    "encode", "decode", "filter", "validate")
OBJECTS = (
    "words", "pairs", "digits", "neighbours", "duplicates", "intervals", "brackets", "vowels", "scores", "rows",
    "columns", "paths", "dates", "temperatures", "coins", "letters")
CONDITIONS = (
    "in order", "by length", "without repetition", "above average", "at odd places", "of equal sum", "by first letter",
    "in a window", "closest to zero", "as percentages")


class Requests(PipelineStep):
    """A pipeline source of requests with the paper's diversity constraints, drawn by seed: topic and audience of a
    textbook, function name of an exercise."""

    name, type = "requests", "GENERATOR"

    def __init__(self, kind: str, count: int, seed: int) -> None:
        super().__init__()
        self.kind, self.count, self.seed = kind, count, seed

    def run(self, data=None, rank: int = 0, world_size: int = 1):
        r = random.Random(self.seed * 10_007 + rank)
        for i in range(rank, self.count, world_size):
            if self.kind == "textbooks":
                topic, audience = r.choice(TOPICS), r.choice(AUDIENCES)
                text = (
                    f"Write one page of a programming textbook about {topic} for {audience}. Explain in plain words, "
                    "show a short self-contained Python function with meaningful computation, call it, and show its "
                    "output.")
                metadata: dict[str, Any] = {"topic": topic, "audience": audience}
            else:
                function = f"{r.choice(VERBS)}_{r.choice(OBJECTS)}_{r.choice(CONDITIONS).replace(' ', '_')}"
                text = (
                    f"Write a Python exercise: the function `{function}` with type annotations and a docstring that "
                    "says exactly what it returns, followed by its solution. Answer with the code alone.")
                metadata = {"function": function}
            yield Document(text=text, id=f"{self.kind}-{self.seed}-{i}", metadata=metadata)
