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

import gzip
import json
import random
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from inputs import Parser, at_least, file, new_folder, one_line, write_text

Text = dict[str, str]
Problem = dict


HUMAN_EVAL = {"prompt": str, "canonical_solution": str, "entry_point": str, "test": str}
MBPP = {"text": str, "code": str, "test_list": list}


def lines(path: Path, fields: dict[str, type]) -> list[Problem]:
    """The problems of a file, plain or gzip, each with the fields; ValueError that names the file for any other."""
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as opened:
            found = [(number, line) for number, line in enumerate(opened, 1) if line.strip()]
    except (gzip.BadGzipFile, zlib.error, EOFError):
        raise ValueError(f"{path}: is no complete gzip file; fetch it again, or give a plain one") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not a text in UTF-8; give a file of JSON lines, plain or named .gz") from None
    if not found:
        raise ValueError(f"{path}: is empty; give a file of JSON lines")
    return [problem(f"{path}: line {number}", line, fields) for number, line in found]


def problem(place: str, line: str, fields: dict[str, type]) -> Problem:
    """The problem of a line of JSON; ValueError that names its place if it has not the fields."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{place} is not an object in JSON; give a file with one on each line")
    for name, kind in fields.items():
        value = found.get(name)
        if not isinstance(value, kind) or isinstance(value, list) and not all(isinstance(v, str) for v in value):
            wanted = "a text" if kind is str else "a list of texts"
            raise ValueError(f"{place} has no {name!r} that is {wanted}; give a file with {', '.join(fields)}")
    return found


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


def main(arguments: list[str]) -> None:
    parser = Parser(prog="replays", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument(
        "--human-eval", type=file("HumanEval.jsonl.gz"), help="HumanEval.jsonl or HumanEval.jsonl.gz")
    parser.add_argument("--mbpp", type=file("mbpp.jsonl"), help="mbpp.jsonl")
    parser.add_argument("--out", type=new_folder, required=True, help="the folder for the files")
    parser.add_argument("--limit", type=at_least(1), default=164, help="texts of a file (%(default)s)")
    with one_line("replays"):
        options = parser.parse_args(arguments)
        write(options.out, made(options.human_eval, options.mbpp, options.limit))


def made(human_eval_file: Path | None, mbpp_file: Path | None, limit: int) -> dict[str, list[Text]]:
    """The texts of every file that is to be written."""
    texts: dict[str, Iterable[Text | None]] = {}
    if human_eval_file:
        problems = lines(human_eval_file, HUMAN_EVAL)
        texts |= {"humaneval": map(human_eval, problems), "tests": map(tests, problems)}
    if mbpp_file:
        problems = lines(mbpp_file, MBPP)
        edits = [edit(code(problem), number) for number, problem in enumerate(problems)]
        if not any(edits):
            raise ValueError(f"{mbpp_file}: no 'code' has a function with an argument to edit; give mbpp.jsonl")
        texts |= {"mbpp": map(mbpp, problems), "edit": edits}
    generators: dict[str, Callable[[int], Text]] = {"random": random_text, "misleading": misleading}
    texts |= {name: map(generator, range(limit)) for name, generator in generators.items()}
    return {name: list(every(some, limit)) for name, some in texts.items()}


def write(folder: Path, files: dict[str, list[Text]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, texts in files.items():
        path = folder / f"{name}.jsonl"
        write_text(path, "".join(json.dumps(text) + "\n" for text in texts))
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
