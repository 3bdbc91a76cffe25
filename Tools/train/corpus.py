"""Make the training corpus: Python's own standard library plus generated exercises.

    python Tools/train/corpus.py --out build/train/corpus --exercises 60000 --seed 1337

Cost: under a minute on one core. Expect `train.jsonl` and `val.jsonl` in the output folder, one document a line as
{"kind": ..., "text": ...}, and a table of documents and characters per kind.

Three kinds of document:
- `function`: a function or method of the standard library that has a docstring, dedented;
- `module`: pieces of whole standard library modules, cut at blank lines;
- `exercise`: one to four checked exercises of `exercises.py`, as they would stand in one file.
The standard library is the running interpreter's (its licence, the PSF licence, allows this); tests, IDLE, lib2to3,
site-packages and pure data tables are skipped, comments about licences are cut, and text that repeats is kept
once. No benchmark text is read. Whole modules are held out for validation, and exercises of another seed.
"""
from __future__ import annotations

import argparse
import ast
import json
import random
import re
import sysconfig
import textwrap
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from exercises import generate

SKIPPED = {"test", "tests", "idlelib", "lib2to3", "site-packages", "dist-packages", "turtledemo", "encodings",
           "pydoc_data", "ensurepip", "__pycache__", "msilib"}
LICENCE = re.compile(r"copyright|licen[cs]e|warrant|permission|redistribut|-\*-|PSF|all rights", re.IGNORECASE)


def library_files() -> list[Path]:
    """Source files of the running interpreter's standard library, in a fixed order."""
    root = Path(sysconfig.get_paths()["stdlib"])
    files = [p for p in sorted(root.rglob("*.py")) if not SKIPPED & set(p.relative_to(root).parts)]
    return [p for p in files if not re.search(r"_sysconfigdata|config-\d", str(p))]


def without_licence(source: str) -> str:
    """Drop comment blocks that speak of licences, and the decoration of comment rules."""
    out: list[str] = []
    block: list[str] = []
    for line in source.expandtabs(4).splitlines() + [""]:
        if line.startswith("#"):
            block.append(line)
            continue
        if block and not any(LICENCE.search(b) for b in block):
            out += [b for b in block if re.search(r"\w", b)]
        block = []
        out.append(line.rstrip())
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(out)).strip() + "\n"


def functions(source: str, most: int) -> Iterator[str]:
    """Functions and methods with a docstring, dedented, not longer than `most` characters."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node) and len(node.body) > 1:
            text = textwrap.dedent("\n".join(lines[node.lineno - 1:node.end_lineno])) + "\n"
            if 60 <= len(text) <= most and text.startswith(("def ", "async def ")):
                yield text


def pieces(source: str, size: int) -> Iterator[str]:
    """Cut a module at blank lines before top-level statements into pieces of about `size` characters."""
    part = ""
    for chunk in re.split(r"\n\n+(?=\S)", source):
        if part and len(part) + len(chunk) > size:
            yield part.strip() + "\n"
            part = ""
        part += chunk + "\n\n"
    if part.strip():
        yield part.strip() + "\n"


def plausible(text: str) -> bool:
    """Whether a piece is code rather than a table of numbers or names."""
    letters = sum(c.isalpha() for c in text)
    digits = sum(c.isdigit() for c in text)
    return digits < 0.2 * max(letters, 1) and text.isascii() and text.count(" = 0x") < 8


def library(modules_share: float, r: random.Random) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Documents of the standard library: (training, held out). Every fortieth file is held out."""
    train: list[dict[str, str]] = []
    held: list[dict[str, str]] = []
    seen: set[str] = set()
    for number, path in enumerate(library_files()):
        try:
            source = without_licence(path.read_text(encoding="utf-8"))
            documents = [{"kind": "function", "text": t} for t in functions(source, 2500)]
            if r.random() < modules_share:
                documents += [{"kind": "module", "text": t} for t in pieces(source, 3000) if 120 < len(t) < 9000]
        except (SyntaxError, UnicodeDecodeError):
            continue
        for d in documents:
            if d["text"] not in seen and plausible(d["text"]):
                seen.add(d["text"])
                (held if number % 40 == 7 else train).append(d)
    return train, held


def exercise_files(stream: Iterator[str], count: int, r: random.Random) -> Iterator[dict[str, str]]:
    """Join exercises into documents of one to four, as in a file of small functions."""
    left = list(islice(stream, count))
    while left:
        n = r.choice([1, 1, 2, 3, 4])
        yield {"kind": "exercise", "text": "\n\n".join(left[:n])}
        left = left[n:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--exercises", type=int, default=60000, help="exercises for training; 1%% more are held out")
    parser.add_argument("--modules", type=float, default=0.25, help="share of modules also used as whole pieces")
    parser.add_argument("--seed", type=int, default=1337)
    args = parser.parse_args()
    r = random.Random(args.seed)
    train, held = library(args.modules, r)
    made = islice(generate(args.seed), args.exercises)
    train += exercise_files(made, args.exercises, r)
    trained = {e for d in train if d["kind"] == "exercise" for e in d["text"].split("\n\n\n")}
    fresh = (e for e in generate(args.seed + 1) if e.rstrip("\n") not in trained and e not in trained)
    held += exercise_files(fresh, max(1, args.exercises // 100), r)
    r.shuffle(train)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, documents in (("train", train), ("val", held)):
        with open(args.out / f"{name}.jsonl", "w", encoding="utf-8") as f:
            f.writelines(json.dumps(d) + "\n" for d in documents)
        number = Counter(d["kind"] for d in documents)
        size = Counter()
        for d in documents:
            size[d["kind"]] += len(d["text"])
        for kind in sorted(number):
            print(f"{name:5s} {kind:9s} {number[kind]:7d} documents {size[kind]:10d} characters")


if __name__ == "__main__":
    main()
