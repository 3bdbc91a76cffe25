"""The benchmark cases. All contenders that support a case do the same work for it."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A measurement of a contender, with llama-bench's name of the test if it has one."""

    name: str
    title: str
    unit: str
    prompt: int = 0  # tokens of the timed prefill
    generate: int = 0  # tokens of the timed decode
    depth: int = 0  # tokens already in the KV cache
    repetitions: int = 1  # a sample is their mean

    @property
    def options(self) -> list[str]:
        """The options for llama-bench and `phi bench`. Memory is measured in one run of all kinds of work."""
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
    # A fast engine takes less than a second; repetitions reduce the noise of a shared machine.
    Case("pp512", "prefill 512", "tok/s", prompt=512, repetitions=4),
    Case("pp1920", "prefill 1920", "tok/s", prompt=1920),
    Case(DECODE, "decode 128", "tok/s", generate=128),
    Case(DECODE_AT_DEPTH, "decode 128 at depth 1024", "tok/s", generate=128, depth=1024),
    Case(FIRST_TOKEN, "first token, 5-token prompt", "s"),
    Case(MEMORY, "memory beyond file and KV cache", "MB"),
]
# The groups of cases that a contender measures before the next one does: small, because a machine's speed drifts;
# decode at both depths together, because their ratio is reported.
TURNS = [["pp512"], ["pp1920"], [DECODE, DECODE_AT_DEPTH], [FIRST_TOKEN, MEMORY]]
BY_NAME = {case.name: case for case in CASES}
