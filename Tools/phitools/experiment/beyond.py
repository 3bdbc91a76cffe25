"""Report what fine-tuning on exercises brings beyond them, as in the paper's section 3:

    python -m phitools.experiment.beyond --base before.phi --tuned after.phi --phi .build/release/phi --out beyond

Both models are measured on tasks that no exercise has: imports, classes, several functions. `report.md` has bits per
byte of the solutions, the share solved, and every completion of both.
"""
from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..durable import write_text
from ..output import command, say, show
from ..program import program
from . import scores
from .beyond_tasks import TASKS


def problems() -> str:
    """Return the tasks in HumanEval's format."""
    return "".join(json.dumps({
        "task_id": t.id, "prompt": t.prompt, "entry_point": t.entry_point, "canonical_solution": t.solution,
        "test": "def check(candidate):\n" + t.test}) + "\n" for t in TASKS)


def measure(phi: Path, model: Path, file: Path, out: Path, options: list[str]) -> None:
    """Write a model's losses, samples and verdicts: NAME-loss.json, NAME-samples.jsonl, NAME-score.json."""
    def evaluate(*arguments: str) -> str:
        return subprocess.run([str(phi), "eval", *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout
    common = ["--problems", str(file), "-m", str(model), "-t", "1", "--json"]
    write_text(out.with_name(out.name + "-loss.json"), evaluate("code-loss", "humaneval", *common))
    samples = out.with_name(out.name + "-samples.jsonl")
    samples.unlink(missing_ok=True)
    write_text(out.with_name(out.name + "-score.json"), evaluate(
        "humaneval", *common, "-o", str(samples), "-n", "200", "--workers", "1", *options))


def report(out: Path) -> str:
    """Return the report on the measurements in a folder as Markdown."""
    names = ("base", "tuned")
    losses = [scores.results(out / f"{n}-loss.json") for n in names]
    solved = [scores.pass_rates(out / f"{n}-score.json") for n in names]
    text: list[dict[str, Any]] = []
    for n in names:
        with open(out / f"{n}-samples.jsonl", encoding="utf-8") as f:
            text.append({d["task_id"]: d["completion"] for d in map(json.loads, f)})
    rows = [
        "| tasks | | bits a byte, before | after | after - before | solved, before | after |", "|---" * 7 + "|"]
    for kind in [*dict.fromkeys(t.kind for t in TASKS), "all"]:
        chosen = [t.id for t in TASKS if kind in (t.kind, "all")]
        before, after = (scores.ratio([m[t]["bits"] for t in chosen], [m[t]["bytes"] for t in chosen]) for m in losses)
        counts = [f"{sum(m[t] for t in chosen):g}" for m in solved]
        rows.append(
            f"| {kind} | {len(chosen)} | {before.shown(3)} | {after.shown(3)} | {(after - before).shown(3, True)} | "
            f"{counts[0]} | {counts[1]} |")
    parts = ["# Before and after fine-tuning", "\n".join(rows)]
    for t in TASKS:
        parts.append(f"## {t.id}\n\n```python\n{t.prompt.rstrip()}\n```")
        for n, completions, verdicts in zip(("Before", "After"), text, solved):
            verdict = "solved" if verdicts[t.id] else "not solved"
            parts.append(f"{n}, {verdict}:\n\n```python\n{completions[t.id].rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


@command
def main() -> int:
    top = argparse.ArgumentParser(prog="phitools.experiment.beyond", description=__doc__.split("\n\n")[0])
    top.add_argument("--base", type=Path, required=True, help="the .phi file before fine-tuning")
    top.add_argument("--tuned", type=Path, required=True, help="the .phi file after it")
    top.add_argument("--phi", type=program, default=Path(".build/release/phi"), help="the phi command")
    top.add_argument("--out", type=Path, required=True)
    top.add_argument("--eval", action="append", default=[], metavar="OPTION", help="an option of phi eval humaneval")
    a = top.parse_args()
    try:
        a.out.mkdir(parents=True, exist_ok=True)
        write_text(a.out / "problems.jsonl", problems())
        for name in ("base", "tuned"):
            measure(a.phi, getattr(a, name), a.out / "problems.jsonl", a.out / name, a.eval)
        write_text(a.out / "report.md", report(a.out))
        show((a.out / "report.md").read_text(encoding="utf-8").split("\n## ")[0].strip())
        return 0
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        say(f"phitools.experiment.beyond: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
