"""Offline pipeline sources of generated exercises and textbook pages."""
from __future__ import annotations

import random

from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep

from ..exercises.generate import training
from ..exercises.tasks import stream
from .steps import name, told
from .textbooks import pages


class Exercises(PipelineStep):
    """A source of `count` checked exercises over all tasks; the task's rank is part of its seed."""

    name, type = "exercises", "GENERATOR"

    def __init__(self, count: int, seed: int) -> None:
        super().__init__()
        self.count, self.seed = count, seed

    def run(self, data=None, rank: int = 0, world_size: int = 1):
        share = self.count // world_size + (rank < self.count % world_size)
        for e in told(training(self.seed * 10_007 + rank, share), "exercises", rank, share):
            yield Document(
                text=e.source, id=name(e.source), metadata={"family": e.family, "composition": e.composition})


class Tasks(PipelineStep):
    """A source of `count` checked exercises of everyday tasks; `prompt` is where the solution begins, in characters."""

    name, type = "tasks", "GENERATOR"

    def __init__(self, count: int, seed: int) -> None:
        super().__init__()
        self.count, self.seed = count, seed

    def run(self, data=None, rank: int = 0, world_size: int = 1):
        share = self.count // world_size + (rank < self.count % world_size)
        for e in told(stream.training(self.seed * 10_007 + rank, share), "exercises", rank, share):
            yield Document(
                text=e.source, id=name(e.source),
                metadata={"family": e.family, "composition": e.composition, "prompt": len(e.prompt)})


class Textbooks(PipelineStep):
    """A source of `count` textbook pages over all tasks."""

    name, type = "textbooks", "GENERATOR"

    def __init__(self, count: int, seed: int) -> None:
        super().__init__()
        self.count, self.seed = count, seed

    def run(self, data=None, rank: int = 0, world_size: int = 1):
        share = self.count // world_size + (rank < self.count % world_size)
        made = pages(random.Random(self.seed * 10_007 + rank), share)
        for topic, audience, text in told(made, "pages", rank, share):
            yield Document(text=text, id=name(text), metadata={"topic": topic, "audience": audience})
