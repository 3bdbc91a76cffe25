"""The cases to measure. Every contender that supports a case does the same work for it."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One number to measure, named like llama-bench's test where it has one."""

    name: str
    title: str
    unit: str
    prompt: int = 0  # tokens prefilled together and timed
    generate: int = 0  # tokens decoded one by one and timed
    depth: int = 0  # tokens in the context before, not timed
    repetitions: int = 1  # of which a sample is the mean

    @property
    def options(self) -> list[str]:
        """Options of llama-bench and of `phi bench`, which are the same. Memory is measured in one run of all kinds of
        work."""
        work = ["-p", str(self.prompt), "-n", str(self.generate), *(["-d", str(self.depth)] if self.depth else [])]
        if self.name == MEMORY:
            work += ["-pg", "512,128", "--no-warmup"]
        return [*work, "-r", str(self.repetitions)]

    @property
    def more_is_better(self) -> bool:
        return self.unit == "tok/s"


FIRST_TOKEN = "first token"
MEMORY = "memory"
DECODE = "tg128"
DECODE_AT_DEPTH = "tg128 @ d1024"

CASES = [
    # Less than a second for a fast engine, too short for one run on a shared machine.
    Case("pp512", "prefill 512", "tok/s", prompt=512, repetitions=4),
    Case("pp1920", "prefill 1920", "tok/s", prompt=1920),
    Case(DECODE, "decode 128", "tok/s", generate=128),
    Case(DECODE_AT_DEPTH, "decode 128 at depth 1024", "tok/s", generate=128, depth=1024),
    Case(FIRST_TOKEN, "first token, 5-token prompt", "s"),
    Case(MEMORY, "memory beyond file and KV cache", "MB"),
]
# What a contender does before the next one's turn: moments apart where a machine's speed drifts, and decode beside
# decode at a depth, which are compared with each other.
TURNS = [["pp512"], ["pp1920"], [DECODE, DECODE_AT_DEPTH], [FIRST_TOKEN, MEMORY]]
BY_NAME = {case.name: case for case in CASES}
