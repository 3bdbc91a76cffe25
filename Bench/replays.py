"""Makes the files of `phi bench --replay` from problem files: JSON lines of a prompt and the completion to decode.

    python Bench/replays.py --human-eval HumanEval.jsonl.gz --mbpp mbpp.jsonl --out replays --limit 40
    phi bench -m phi1-q4.phi --replay replays/humaneval.jsonl --replay replays/edit.jsonl

humaneval    a solution, given signature and docstring
mbpp         a solution, given the task and its tests
edit         a solution once more with a few changes: a name replaced, or a check of an argument inserted
tests        the tests of a solution
random       random letters, digits and marks: a text in which nothing can be foreseen
misleading   a text whose every repetition goes on in another way than before

The last two need no data. The texts are every n-th of a file, so that a few of them are like all.
"""
from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

Text = dict[str, str]
Problem = dict


def lines(path: Path) -> list[Problem]:
    """The problems of a file, plain or gzip."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def human_eval(problem: Problem) -> Text:
    return {"prompt": problem["prompt"], "completion": problem["canonical_solution"]}


def code(problem: Problem) -> str:
    """The solution of an MBPP problem."""
    return problem["code"].replace("\r\n", "\n").strip() + "\n"


def mbpp(problem: Problem) -> Text:
    tests = "\n".join(problem["test_list"])
    return {"prompt": f'"""\n{problem["text"]}\n{tests}\n"""\n', "completion": code(problem)}


def tests(problem: Problem) -> Text:
    solution = problem["prompt"] + problem["canonical_solution"]
    return {"prompt": f"{solution}\n\n# Tests of {problem['entry_point']}\n", "completion": problem["test"].lstrip()}


def edit(solution: str, number: int) -> Text | None:
    """A solution and the instruction to change it; None if it has no function with an argument."""
    function = re.search(r"^def (\w+)\((\w+)[^\n]*\n(\s+)", solution, re.MULTILINE)
    if not function:
        return None
    name, argument, indent = function.groups()
    if number % 2:
        instruction = f"Raise a ValueError if {argument} is None."
        check = f"if {argument} is None:\n{indent}{indent}raise ValueError('{argument} is None')\n{indent}"
        changed = solution[: function.end()] + check + solution[function.end():]
    else:
        instruction = f"Rename the argument {argument} of {name} to {argument}_value."
        changed = re.sub(rf"\b{argument}\b", f"{argument}_value", solution)
    return {"prompt": f"{solution}\n\n# {instruction}\n\n", "completion": changed}


def random_text(number: int) -> Text:
    generator = random.Random(number)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-*/=()[]{}<>,.;:!?#@$%&\n "
    text = "".join(generator.choice(letters) for _ in range(600))
    return {"prompt": text[:100], "completion": text[100:]}


def misleading(number: int) -> Text:
    """Six words in the same order, then one that did not follow them before, again and again."""
    generator = random.Random(number)
    names = ["count", "value", "index", "total", "item", "result", "name", "key", "list", "text", "size", "first"]
    phrase = " ".join(generator.sample(names, 6))
    text = "".join(f"{phrase} {generator.randrange(10, 99)} {generator.choice(names)}\n" for _ in range(40))
    return {"prompt": text[:200], "completion": text[200:]}


def every(texts: Iterable[Text | None], limit: int) -> Iterator[Text]:
    """At most `limit` of the texts, at equal distances."""
    known = [text for text in texts if text]
    count = min(limit, len(known))
    return (known[place * len(known) // count] for place in range(count))


def write(folder: Path, name: str, texts: Iterable[Text | None], limit: int) -> None:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(text) + "\n" for text in every(texts, limit)))
    print(path)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--human-eval", type=Path, help="HumanEval.jsonl or HumanEval.jsonl.gz")
    parser.add_argument("--mbpp", type=Path, help="mbpp.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="the folder for the files")
    parser.add_argument("--limit", type=int, default=164, help="texts of a file (%(default)s)")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    sources: dict[str, tuple[Path | None, Callable[[Problem], Text]]] = {
        "humaneval": (options.human_eval, human_eval), "tests": (options.human_eval, tests),
        "mbpp": (options.mbpp, mbpp)}
    for name, (path, text) in sources.items():
        if path:
            write(options.out, name, map(text, lines(path)), options.limit)
    if options.mbpp:
        edits = (edit(code(problem), number) for number, problem in enumerate(lines(options.mbpp)))
        write(options.out, "edit", edits, options.limit)
    for name, made in {"random": random_text, "misleading": misleading}.items():
        write(options.out, name, map(made, range(options.limit)), options.limit)


if __name__ == "__main__":
    main(sys.argv[1:])
