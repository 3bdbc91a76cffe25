"""Let a checkpoint solve exercises it has not seen, and run its answers.

    python Tools/train/exam.py build/train/run/final --corpus build/train/corpus/train.jsonl --count 200

Cost: about a second an exercise. Expect one line per family and a total. With --show, the answers too.

The exercises come from the generator that made the corpus, so this measures how far the model learned that small
world, and nothing else. An exercise is drawn with another seed and kept only if its prompt (signature and docstring,
examples included) occurs nowhere in the training text. The answer is the most likely continuation. It counts when,
run on the drawn arguments, it agrees with the exercise's reference on all of them.

Answers run inside this process without imports, files or `eval`, and for one second at most. That stops accidents,
not attacks.
"""
from __future__ import annotations

import argparse
import builtins
import contextlib
import copy
import io
import json
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from transformers import PhiForCausalLM, PreTrainedTokenizerFast

from exercises import Exercise, render
from families import FAMILIES
from sample import complete

HARMLESS = {k: v for k, v in vars(builtins).items()
            if k not in {"open", "__import__", "eval", "exec", "compile", "input", "breakpoint", "exit", "quit", "help"}}


def solves(source: str, ex: Exercise) -> bool:
    """Whether the completed function gives the reference's results."""

    def late(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    space: dict[str, Any] = {"__builtins__": HARMLESS, "__name__": "answer"}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, "<answer>", "exec"), space)
            return all(repr(space[ex.name](*copy.deepcopy(c))) == repr(ex.reference(*copy.deepcopy(c))) for c in ex.calls)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=99)
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    with open(args.corpus, encoding="utf-8") as f:
        trained = "\n\n\n".join(d["text"] for d in map(json.loads, f) if d["kind"] == "exercise")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(args.checkpoint)
    model = PhiForCausalLM.from_pretrained(args.checkpoint, dtype=torch.float32).eval()
    r = random.Random(args.seed)
    makers, weights = zip(*FAMILIES)
    asked: Counter[str] = Counter()
    solved: Counter[str] = Counter()
    seen = 0
    while asked.total() < args.count:
        maker = r.choices(makers, weights)[0]
        ex = maker(r)
        source = render(ex, r)
        prompt = source[:source.index('"""', source.index('"""') + 3) + 3] + "\n"
        if ex.returns == "None":
            continue  # it prints; there is no result to compare
        if prompt in trained:
            seen += 1
            continue
        answer = prompt + complete(model, tokenizer, prompt, 200, 0.0) + "\n"
        good = solves(answer, ex)
        asked[maker.__name__] += 1
        solved[maker.__name__] += good
        if args.show:
            print(answer + ("# right\n" if good else "# wrong\n"))
    for name in sorted(asked):
        print(f"{name:14s} {solved[name]:4d} of {asked[name]:4d}")
    print(f"{'all':14s} {solved.total():4d} of {asked.total():4d}; {seen} more were drawn, but their prompts are in the corpus")


if __name__ == "__main__":
    main()
