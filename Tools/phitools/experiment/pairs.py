"""Make minimal pairs of a problem set: python -m phitools.experiment.pairs --set humaneval --problems
HumanEval.jsonl.gz --phi .build/release/phi --out pairs.jsonl

A mutant is a reference solution with one token replaced. `phi eval` runs it in its sandbox; those that fail the
problem's checks are kept, if the reference passes them. `phi eval pairs` reads the file.
"""
from __future__ import annotations

import argparse
import ast
import gzip
import io
import json
import keyword
import random
import subprocess
import sys
import tempfile
import tokenize
import warnings
from pathlib import Path
from typing import Any

from ..durable import write_text
from ..output import command, say, show
from ..program import program

OPERATORS = {
    "<": ["<=", ">"], "<=": ["<", ">="], ">": [">=", "<"], ">=": [">", "<="], "==": ["!="], "!=": ["=="], "+": ["-"],
    "-": ["+"], "*": ["+"], "/": ["*"], "//": ["*"], "%": ["*"], "+=": ["-="], "-=": ["+="], "*=": ["+="],
    "and": ["or"], "or": ["and"], "True": ["False"], "False": ["True"], "min": ["max"], "max": ["min"],
    "any": ["all"], "all": ["any"]}


def mutants(before: str, solution: str) -> list[str]:
    """Return every text of `solution`, which follows `before` in a program, with one token replaced that still parses:
    an operator or constant by another, an integer by its neighbours, a name by another of the solution's names."""
    lines, start = (before + solution).splitlines(keepends=True), before.count("\n") + 1
    try:
        tokens = [
            t for t in tokenize.generate_tokens(io.StringIO(before + solution).readline)
            if t.start[0] >= start and t.type in (tokenize.OP, tokenize.NAME, tokenize.NUMBER)]
    except (tokenize.TokenError, IndentationError):
        return []
    names = sorted({t.string for t in tokens if t.type == tokenize.NAME and not keyword.iskeyword(t.string)})
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line))
    out = []
    for t in tokens:
        other = OPERATORS.get(t.string, [])
        if not other and t.type == tokenize.NUMBER and t.string.isdecimal():
            other = [str(int(t.string) + 1), *([str(int(t.string) - 1)] if int(t.string) else [])]
        elif not other and t.string in names:
            other = [n for n in names if n != t.string]
        at = offsets[t.start[0] - 1] + t.start[1] - len(before)
        for replacement in other:
            text = solution[:at] + replacement + solution[at + len(t.string):]
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", SyntaxWarning)
                    ast.parse(before + text)
            except (SyntaxError, ValueError):
                continue
            out.append(text)
    return out


def read(path: Path, kind: str) -> list[tuple[Any, str, str, str]]:
    """Return task, prompt, program before the solution, and solution of each problem, as `phi eval` reads them."""
    opened: Any = gzip.open if path.suffix == ".gz" else open
    found = []
    with opened(path, "rt", encoding="utf-8", newline="") as f:
        for line in filter(str.strip, f):
            d = {k: v.replace("\r\n", "\n") if isinstance(v, str) else v for k, v in json.loads(line).items()}
            if kind == "humaneval":
                found.append((d["task_id"], d["prompt"], d["prompt"], d["canonical_solution"]))
            elif 11 <= d["task_id"] <= 510:
                prompt = '"""\n' + "\n".join([d["text"], *d["test_list"][:3]]) + '\n"""\n'
                found.append((d["task_id"], prompt, "", d["code"]))
    return found


def make(kind: str, problems: Path, phi: Path, candidates: int) -> list[dict[str, Any]]:
    """Return the pairs of a problem set, from at most `candidates` mutants of each solution."""
    tried = []
    for task, prompt, before, solution in read(problems, kind):
        found = sorted(set(mutants(before, solution)))
        chosen = random.Random(str(task)).sample(found, min(candidates, len(found)))
        tried += [(task, prompt, solution, text) for text in (solution, *chosen)]
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "samples.jsonl"
        samples.write_text(
            "".join(json.dumps({"task_id": task, "completion": text}) + "\n" for task, _, _, text in tried))
        result = subprocess.run(
            [str(phi), "eval", kind, "--problems", str(problems), "--samples", str(samples), "--workers", "1",
             "--json"], stdout=subprocess.PIPE, check=True)
    verdicts = {r["task_id"]: iter([s["verdict"] for s in r["samples"]]) for r in json.loads(result.stdout)["results"]}
    pairs, passes = [], {}
    for task, prompt, solution, text in tried:
        verdict = next(verdicts[task])
        if text == solution:
            passes[task] = verdict == "passed"
        elif passes[task] and verdict == "failed":
            pairs.append({"task_id": task, "prompt": prompt, "right": solution, "wrong": text})
    return pairs


@command
def main() -> int:
    top = argparse.ArgumentParser(prog="phitools.experiment.pairs", description=__doc__.split("\n\n")[0])
    top.add_argument("--set", choices=["humaneval", "mbpp"], required=True)
    top.add_argument("--problems", type=Path, required=True)
    top.add_argument("--phi", type=program, required=True)
    top.add_argument("--candidates", type=int, default=6, help="mutants of each solution that are run")
    top.add_argument("--out", type=Path, required=True)
    a = top.parse_args()
    try:
        pairs = make(a.set, a.problems, a.phi, a.candidates)
        write_text(a.out, "".join(json.dumps(p) + "\n" for p in pairs))
        show(f"{len(pairs)} pairs of {len({p['task_id'] for p in pairs})} problems")
        return 0
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        say(f"phitools.experiment.pairs: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
