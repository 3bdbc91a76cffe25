"""Offline pipeline sources of generated exercises and textbook pages."""
from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from ..exercises.generate import training
from ..exercises.tasks import stream
from .steps import name, told
from .textbooks import pages


class Generated(PipelineStep):
    """A source of `count` documents over all tasks; the task's rank is part of its seed."""

    type = "GENERATOR"
    unit = ""
    """What a document is called while they are counted."""

    def __init__(self, count: int, seed: int) -> None:
        super().__init__()
        self.count, self.seed = count, seed

    def run(self, data=None, rank: int = 0, world_size: int = 1):
        share = self.count // world_size + (rank < self.count % world_size)
        for text, metadata in told(self.made(self.seed * 10_007 + rank, share), self.unit, rank, share):
            yield Document(text=text, id=name(text), metadata=metadata)

    def made(self, seed: int, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield texts and their metadata."""
        raise NotImplementedError


class Exercises(Generated):
    """Checked exercises of the grammar."""

    name = unit = "exercises"

    def made(self, seed: int, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
        for e in training(seed, count):
            yield e.source, {"family": e.family, "composition": e.composition}


class Tasks(Generated):
    """Checked exercises of everyday tasks, or of those of a first course alone; `prompt` is where the solution begins,
    in characters, `task` the name of a single task."""

    name, unit = "tasks", "exercises"

    def __init__(self, count: int, seed: int, first_course: bool = False) -> None:
        super().__init__(count, seed)
        self.first_course = first_course

    def made(self, seed: int, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
        for e in stream.training(seed, count, self.first_course):
            metadata = {"family": e.family, "composition": e.composition, "prompt": len(e.prompt)}
            yield e.source, metadata | ({"task": e.task} if e.table else {})


class Textbooks(Generated):
    """Textbook pages."""

    name, unit = "textbooks", "pages"

    def made(self, seed: int, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
        for topic, audience, text in pages(random.Random(seed), count):
            yield text, {"topic": topic, "audience": audience}
