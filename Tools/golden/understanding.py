"""The problems of `phi eval understanding`, in HumanEval's format:

    PYTHONPATH=Tools python Tools/golden/understanding.py        writes Sources/CPhiProblems/understanding.jsonl

Each is written as a function with a docstring, the prompt, and a body, the reference solution, followed by its checks.
"""
from __future__ import annotations

import ast
import json
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "Sources/CPhiProblems"
FILE = FOLDER / "understanding.jsonl"


def problems() -> list[dict[str, str]]:
    """Return the rows of the file, in the order of sources and functions."""
    rows = []
    for path in sorted((FOLDER / "understanding").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True)
        functions = [n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef)]
        for task, check in zip(functions[::2], functions[1::2], strict=True):
            if check.name != f"check_{task.name}":
                raise ValueError(f"{path}: {task.name} is not followed by its checks")
            body = task.body[0].end_lineno
            rows.append({
                "task_id": f"understanding/{len(rows)}", "entry_point": task.name,
                "prompt": "".join(lines[task.lineno - 1:body]),
                "canonical_solution": "".join(lines[body:task.end_lineno]),
                "test": "def check(candidate):\n" + "".join(lines[check.lineno:check.end_lineno])})
    return rows


if __name__ == "__main__":
    FILE.write_text("".join(json.dumps(row) + "\n" for row in problems()), encoding="utf-8")
