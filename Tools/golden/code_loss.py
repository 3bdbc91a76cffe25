"""Write Tests/PhiCLITests/Goldens/code-loss: problems, pairs, and the bits of their completions by Hugging Face's phi
in float32.

    PYTHONPATH=Tools python Tools/golden/code_loss.py            needs torch, transformers and tokenizers

The model is `TinyCheckpoint()` of the tests, by the rule of `phitools/seeded.py`. Its context of 256 is too short for
some: then at most 128 tokens are scored at a time, after as many of the preceding ones as fit.
"""
from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

import hf_truth
from phitools.byte_tokenizer import END_OF_TEXT_ID
from phitools.seeded import write_checkpoint
from phitools.shapes import Exponents, Shape

FOLDER = Path(__file__).parents[2] / "Tests/PhiCLITests/Goldens/code-loss"
SHAPE = Shape(
    hidden=64, intermediate=128, layers=2, heads=4, rows=320, tokens=300, context=256, end_of_text=END_OF_TEXT_ID,
    exponents=Exponents(linear=-2, head=-1, embedding=-4, bias=-6, norm=-3))

LONG = "".join(f"    total += weights[{i}] * values[{i}]\n" for i in range(9))
HUMAN_EVAL = [
    ("Small/add", "def add(a, b):\n    \"\"\"Return the sum of a and b.\"\"\"\n", "    return a + b\n"),
    ("Small/long-prompt", "# " + "every good sum has its weights. " * 9 + "\ndef f(x):\n", "    return x\n"),
    ("Small/long-solution", "def dot(weights, values):\n    total = 0\n", LONG + "    return total\n"),
    ("Small/breaks", "def greet(name):\r\n    \"\"\"Grüße, 😀.\"\"\"\r\n", "    return 'grüß ' + name\r\n"),
    ("Small/no-prompt", "", "x = 1\n")]
MBPP = [
    (11, "Write a function to double a number.", "def double(x):\r\n  return 2 * x", ["assert double(2) == 4"]),
    (12, "Write a function to find the first.", "def first(s):\n\treturn s[0]\n", ["a", "b", "c", "d"]),
    (9, "Not in the test split.", "pass", [])]
ADD, DOT = HUMAN_EVAL[0], HUMAN_EVAL[2]
PAIRS = [
    (ADD, ADD[2], "    return a - b\n"), (ADD, "    return a - b\n", ADD[2]),
    (DOT, DOT[2], LONG + "    return value\n")]


def bits(model: Any, tokenizer: Tokenizer, prompt: str, completion: str) -> dict[str, Any]:
    """Return the result of a problem as `phi eval code-loss` reports it."""
    prompt, completion = (t.replace("\r\n", "\n") for t in (prompt, completion))
    encoded = tokenizer.encode(prompt + completion)
    ids = list(encoded.ids)
    letters = [len(tokenizer.id_to_token(i)) for i in ids]  # byte-level: a letter for each byte
    ends = torch.tensor(letters).cumsum(0)
    first = int((ends <= len(prompt.encode())).sum())
    if not first:
        ids, first = [END_OF_TEXT_ID, *ids], 1
    total, place = 0.0, first
    while place < len(ids):
        end = min(len(ids), place + SHAPE.context // 2)
        start = max(0, end - 1 - SHAPE.context)
        logits = torch.from_numpy(hf_truth.logits(model, ids[start:end - 1]))[:, :SHAPE.tokens].double()
        for i in range(place, end):
            total -= float(logits[i - 1 - start].log_softmax(0)[ids[i]]) / math.log(2)
        place = end
    return {"bits": total, "tokens": len(ids) - first, "bytes": len(completion.encode()),
            "truncated": len(ids) - 1 > SHAPE.context}


def write(name: str, rows: list[dict[str, Any]]) -> None:
    (FOLDER / name).write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")


def main() -> None:
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        write_checkpoint(Path(folder), SHAPE, base_seed=1)
        model = hf_truth.load(Path(folder))
        tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    mbpp = [(n, "\"\"\"\n" + "\n".join([text, *tests[:3]]) + "\n\"\"\"\n", code) for n, text, code, tests in MBPP]
    losses = {
        "humaneval": [{"task_id": n} | bits(model, tokenizer, p, s) for n, p, s in HUMAN_EVAL],
        "mbpp": [{"task_id": n} | bits(model, tokenizer, p, s) for n, p, s in mbpp if 11 <= n <= 510],
        "pairs": [{
            "right": bits(model, tokenizer, of[1], right)["bits"],
            "wrong": bits(model, tokenizer, of[1], wrong)["bits"]} for of, right, wrong in PAIRS],
        "versions": hf_truth.versions()}
    write("humaneval.jsonl", [
        {"task_id": n, "prompt": p, "canonical_solution": s, "entry_point": "f", "test": ""} for n, p, s in HUMAN_EVAL])
    write("mbpp.jsonl", [
        {"task_id": n, "text": t, "code": c, "test_setup_code": "", "test_list": tests} for n, t, c, tests in MBPP])
    write("pairs.jsonl", [
        {"task_id": of[0], "prompt": of[1], "right": right, "wrong": wrong} for of, right, wrong in PAIRS])
    (FOLDER / "losses.json").write_text(json.dumps(losses, indent=1) + "\n")
    print(json.dumps(losses, indent=1))


if __name__ == "__main__":
    main()
