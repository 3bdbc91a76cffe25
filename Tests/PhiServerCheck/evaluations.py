"""Evaluations by others: EleutherAI's lm-eval through phi-server, and evalplus' scorer on the samples of phi eval."""
from __future__ import annotations

import ast
import gzip
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from served import REPOSITORY, Served

SMALL = REPOSITORY / "Sources/CPhiModel/small.phi"
PHI = os.environ.get("PHI") or str(REPOSITORY / ".build/release/phi")


def write_tokenizer(folder: Path) -> None:
    """The small model's tokenizer as Hugging Face reads it, out of the .phi file by the second reader."""
    sys.path.insert(0, str(REPOSITORY / "Tools"))
    from phitools.byte_tokenizer import printable_bytes
    from phitools.phi_file import PhiFile

    tokenizer = PhiFile(SMALL).tokenizer
    letters = printable_bytes()

    def spelt(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    added = tokenizer.added
    vocabulary = {spelt(token): number for number, token in enumerate(tokenizer.tokens) if number not in added}
    pairs = [f"{spelt(tokenizer.tokens[left])} {spelt(tokenizer.tokens[right])}" for left, right, _ in tokenizer.merges]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None,
        "added_tokens": [{
            "id": number, "content": tokenizer.tokens[number].decode(), "single_word": False, "lstrip": False,
            "rstrip": False,
            "normalized": False, "special": bool(special)} for number, special in tokenizer.added.items()],
        "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
                  "fuse_unk": False, "byte_fallback": False, "vocab": vocabulary, "merges": pairs}}))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>", "model_max_length": 1024}))


OPERATIONS = [
    ("add", "+", "sum"), ("subtract", "-", "difference"), ("multiply", "*", "product"), ("divide", "/", "quotient")]


def documents() -> list[dict]:
    """Which operation is missing: 48 questions."""
    found = []
    for a, b in [("a", "b"), ("x", "y"), ("first", "second"), ("left", "right")]:
        for style in range(3):
            for gold, (name, _, noun) in enumerate(OPERATIONS):
                text = [
                    f'"""Return the {noun} of {a} and {b}."""', f'"""{name.capitalize()} {a} and {b}."""',
                    f"# the {noun}"][style]
                found.append({
                    "context": f"def {name}({a}, {b}):\n    {text}\n    return {a}", "gold": gold,
                    "choices": [f" {operator} {b}" for _, operator, _ in OPERATIONS]})
    return found


def truth(tokenizer, document: dict, folder: Path) -> list[tuple[float, bool]]:
    """Log-likelihoods by `phi logits`, with the context and the continuation taken apart as lm-eval does."""
    import numpy as np

    scores = []
    for choice in document["choices"]:
        whole = tokenizer.encode(document["context"] + choice)
        start = len(tokenizer.encode(document["context"]))
        (folder / "ids.json").write_text(json.dumps(whole))
        subprocess.run(
            [PHI, "logits", "--ids", folder / "ids.json", "-o", folder / "logits.npy"], check=True, capture_output=True)
        logits = np.load(folder / "logits.npy").astype(np.float64)
        shifted = logits - logits.max(-1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        places = range(start, len(whole))
        scores.append(
            (sum(logs[at - 1, whole[at]] for at in places), all(logits[at - 1].argmax() == whole[at] for at in places)))
    return scores


def check_lm_eval() -> None:
    import lm_eval
    from lm_eval.tasks import TaskManager
    from transformers import AutoTokenizer

    os.environ.update(
        HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false", OPENAI_API_KEY="none")
    with tempfile.TemporaryDirectory() as name, Served("--parallel", "8") as server:
        folder = Path(name)
        write_tokenizer(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        sample = 'def f(x):\n    """Doc."""\n    return x + 1  # é\n'
        assert tokenizer.encode(sample) == server.post("/tokenize", {"content": sample})["tokens"]
        all_documents = documents()
        (folder / "operations.jsonl").write_text("".join(json.dumps(document) + "\n" for document in all_documents))
        (folder / "operations.yaml").write_text(json.dumps({
            "task": "operations", "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(folder / "operations.jsonl")}},
            "test_split": "test", "output_type": "multiple_choice", "doc_to_text": "{{context}}",
            "doc_to_choice": "{{choices}}",
            "doc_to_target": "{{gold}}", "target_delimiter": "",
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]}))
        found = lm_eval.simple_evaluate(
            model="local-completions", tasks=["operations"], task_manager=TaskManager(include_path=str(folder)),
            log_samples=True,
            model_args={
                "model": "phi-small", "base_url": server.url + "/v1/completions", "tokenizer": str(folder),
                "tokenized_requests": True,
                "tokenizer_backend": "huggingface", "num_concurrent": 4, "max_length": 1024})
        samples = sorted(found["samples"]["operations"], key=lambda sample: sample["doc_id"])
        assert len(samples) == len(all_documents)
        right = worst = 0
        for document, sample in zip(all_documents, samples):
            expected = truth(tokenizer, document, folder)
            answers = [(float(answer[0]), answer[1] in (True, "True")) for answer in sample["filtered_resps"]]
            for (score, greedy), (their_score, their_greedy) in zip(expected, answers):
                worst = max(worst, abs(score - their_score))
                assert math.isclose(score, their_score, abs_tol=1e-6) and greedy == their_greedy, (
                    document, expected, answers)
            scores = [score for score, _ in expected]
            right += scores.index(max(scores)) == document["gold"]
        accuracy = found["results"]["operations"]["acc,none"]
        assert math.isclose(accuracy, right / len(samples)), (accuracy, right)
        print(
            f"lm-eval {lm_eval.__version__}: {len(samples)} questions, accuracy {accuracy:.4f} as by phi logits, "
            f"{4 * len(samples)} log-likelihoods within {worst:.1e}")


def inputs(problem: dict) -> list | None:
    """The arguments of a problem's checks, `assert candidate(...) == ...`; None if JSON cannot hold them."""
    found = []
    for line in problem["test"].split("\n")[1:-1]:
        call = ast.parse(line.strip()).body[0].test.left
        try:
            found.append([ast.literal_eval(argument) for argument in call.args])
        except ValueError:
            return None
    return found if json.loads(json.dumps(found)) == found else None


def check_evalplus() -> None:
    """Both score the small model's completions of exercises; evalplus takes its problems in its own form."""
    with gzip.open(REPOSITORY / "Tools/phitools/exercises/heldout.jsonl.gz", "rt") as lines:
        problems = [problem for line in lines if inputs(problem := json.loads(line))][:40]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "problems.jsonl").write_text("".join(json.dumps(problem) + "\n" for problem in problems))
        (folder / "plus.jsonl").write_text("".join(json.dumps(problem | {
            "contract": "", "base_input": inputs(problem)[::2], "plus_input": inputs(problem)[1::2],
            "atol": 0}) + "\n" for problem in problems))
        report = json.loads(subprocess.run(
            [PHI, "eval", "humaneval", "--problems", folder / "problems.jsonl", "-o", folder / "samples.jsonl",
             "-n", "200", "--json"], check=True, capture_output=True).stdout)
        ours = {row["task_id"]: row["samples"][0]["verdict"] == "passed" for row in report["results"]}
        subprocess.run(
            [Path(sys.executable).with_name("evalplus.evaluate"), "humaneval", "--samples", folder / "samples.jsonl",
             "--parallel", "2", "--min-time-limit", "10"],
            check=True, capture_output=True, cwd=folder, stdin=subprocess.DEVNULL, env=os.environ | {
                "HUMANEVAL_OVERRIDE_PATH": str(folder / "plus.jsonl"), "XDG_CACHE_HOME": name})
        results = json.loads((folder / "samples_eval_results.json").read_text())["eval"]
        theirs = {task: {row["base_status"], row["plus_status"]} == {"pass"} for task, (row,) in results.items()}
        assert ours == theirs, {task: (ours[task], theirs.get(task)) for task in ours if ours[task] != theirs.get(task)}
        assert 0 < sum(ours.values()) < len(ours), ours
        print(f"evalplus: {sum(ours.values())} of {len(ours)} samples of phi eval pass, the same as there")
