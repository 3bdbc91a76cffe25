"""Run a step of the data pipeline: python -m phitools.data STEP --out FOLDER ...; see `STEP --help`.

A step that is complete with the same options is not run again; a killed step continues.
"""
from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import platform
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..durable import FULL, check_free, locked
from ..exercises import heldout
from ..output import command, say, show
from ..packed import sha256
from ..program import number
from . import annotate, bpe, collect, decontaminate, dedup, endpoint, pack, prompts, steps, synthetic
from .steps import Documents, Where, finish, finished, read, verify, writer


def where_of(a: argparse.Namespace) -> Where:
    return Where(a.executor, a.tasks, a.workers, a.partition)


def run_collect(a: argparse.Namespace) -> dict[str, Any]:
    if a.data_set:
        source = collect.streamed(a.data_set, a.column, a.licence_column, a.limit)
    else:
        folders = [collect.with_licence(f) for f in a.folder]
        source = [collect.Collect(folders, a.standard_library, a.packages, a.size, a.share, a.packages_in)]
    left = where_of(a).run([*source, writer(a.out)], a.out / "logs" / "run")
    licences: dict[str, int] = {}
    for d in _unfinished(a.out):
        key = f"{d['metadata']['origin']}: {d['metadata']['licence']}"
        licences[key] = licences.get(key, 0) + 1
    (a.out / "licences.json").write_text(json.dumps(dict(sorted(licences.items())), indent=1) + "\n")
    return left


def _asked(a: argparse.Namespace, question: Any, take: Any, tokens: int, temperature: float) -> endpoint.Ask:
    endpoint.key()
    return endpoint.Ask(
        endpoint.Endpoint(a.endpoint, a.model), question, take, a.out / "logs" / "answers", tokens, temperature,
        again=1 if temperature == 0 else 2)


def run_annotate(a: argparse.Namespace) -> dict[str, Any]:
    ids = [d.id for folder in a.input for d in read(folder)] if a.sample else []
    sample = annotate.Sample.of(ids, a.sample, a.seed)
    step = _asked(a, annotate.Question(sample), annotate.labelled, 4, 0.0) if a.endpoint else annotate.Rule(sample)
    left = where_of(a).run([Documents(a.input), step, writer(a.out)], a.out / "logs" / "run")
    labels = [d["metadata"]["label"] for d in _unfinished(a.out) if "label" in d["metadata"]]
    return left | {"labelled": len(labels), "valuable": sum(labels)}


def run_filter(a: argparse.Namespace) -> dict[str, Any]:
    import matplotlib  # noqa: F401  needed at the end: a missing package is told at once

    from . import select
    from .embed import Embedder
    documents = [d for folder in a.input for d in read(folder)]
    known = np.array([i for i, d in enumerate(documents) if "label" in d.metadata], dtype=int)
    known = np.sort(np.random.default_rng(a.seed).permutation(known)[:a.labelled])
    labels = np.array([int(documents[i].metadata["label"]) for i in known])
    select.check(labels)  # before the embedding of all
    vectors = Embedder(a.checkpoint)(steps.told((d.text for d in documents), "documents embedded", 0, len(documents)))
    score, report, curve = select.judge(vectors, labels, known, a.seed)
    steps.write_documents(a.out, (
        replace(d, metadata=d.metadata | {"forest": round(float(s), 4)}) for d, s in zip(documents, score)
        if s >= a.threshold))
    kept = int((score >= a.threshold).sum())
    report |= {
        "documents": len(documents), "kept": kept, "threshold": a.threshold,
        "left out: not valuable": len(documents) - kept}
    select.write_report(report, a.out / "report.json")
    select.picture(curve, report, a.out / "roc.png")
    return {k: v for k, v in report.items() if k != "documents"}


def run_dedup(a: argparse.Namespace) -> dict[str, Any]:
    return dedup.run(a.input, a.out, where_of(a), not a.exact_only)


def _requested(a: argparse.Namespace, offline: Any) -> dict[str, Any]:
    source = [offline]
    if a.endpoint:
        source = [
            prompts.Requests(a.step, a.count, a.seed),
            _asked(a, prompts.request, prompts.Written(a.step), 1500, 0.8)]
    return where_of(a).run([*source, writer(a.out)], a.out / "logs" / "run")


def run_exercises(a: argparse.Namespace) -> dict[str, Any]:
    return _requested(a, synthetic.Exercises(a.count, a.seed))


def run_tasks(a: argparse.Namespace) -> dict[str, Any]:
    return where_of(a).run([synthetic.Tasks(a.count, a.seed, a.first_course), writer(a.out)], a.out / "logs" / "run")


def run_textbooks(a: argparse.Namespace) -> dict[str, Any]:
    return _requested(a, synthetic.Textbooks(a.count, a.seed))


def run_decontaminate(a: argparse.Namespace) -> dict[str, Any]:
    benchmark = [p for path in a.benchmark for p in decontaminate.problems(path)]
    embed = None
    if a.checkpoint:
        from .embed import Embedder
        embed = Embedder(a.checkpoint)
    documents = [d for folder in a.input for d in read(folder)]
    keep, report, near = decontaminate.judge([d.text for d in documents], benchmark, a.tau, a.distance, embed)
    steps.write_documents(a.out, (d for d, stays in zip(documents, keep) if stays))
    (a.out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    (a.out / "problems.jsonl").write_text("".join(json.dumps(p) + "\n" for p in near))
    return {k: v for k, v in report.items() if k != "documents"} | {"left out: near a benchmark": report["removed"]}


def run_tokenizer(a: argparse.Namespace) -> dict[str, Any]:
    texts = []
    for folder in a.input:  # the same share of each, so that the largest does not dominate
        size = 0
        for d in steps.told(read(folder), "documents"):
            texts.append(d.text)
            size += len(d.text)
            if 0 < a.characters <= size:
                break
    bpe.save(bpe.train(texts, a.vocabulary), a.out, a.positions)
    return {"tokens": a.vocabulary, "documents": len(texts), "characters": sum(map(len, texts))}


def part_of(identifier: str) -> str:
    """Return "validation" for one document in fifty, by the hash of its id, else "train"."""
    return "validation" if int(hashlib.sha256(identifier.encode()).hexdigest()[:8], 16) % 50 == 0 else "train"


def run_pack(a: argparse.Namespace) -> dict[str, Any]:
    check_free(a.out, "pack")
    documents = [d for folder in a.input for d in steps.told(read(folder), "documents")]
    part = [d for d in documents if a.part in ("all", part_of(d.id))]
    if a.shuffle:
        order = np.random.default_rng(a.seed).permutation(len(part))
        part = [part[i] for i in order]
    kept = pack.limited(part, a.of_a_task)
    chosen = [(d.text, d.metadata.get("prompt")) for d in kept[:a.documents or None]]
    totals = pack.pack(
        steps.told((text for text, _ in chosen), "documents packed", 0, len(chosen)), a.tokenizer, a.out, most=a.most,
        solutions=a.solutions, starts=[start for _, start in chosen],
        more={"options": options_of(a), "inputs": steps.digests(a.input)})
    left = {
        "left out: other part": len(documents) - len(part),
        "left out: beyond --of-a-task": len(part) - len(kept),
        "left out: beyond --documents": len(kept) - len(chosen),
        "left out: beyond --most": len(chosen) - totals["documents"]}
    return totals | {k: v for k, v in left.items() if v}


def _unfinished(out: Path) -> Any:
    for path in sorted((out / steps.DOCUMENTS).glob("*.jsonl")):
        with open(path, encoding="utf-8") as f:
            yield from map(json.loads, f)


def _identity(value: Any) -> Any:
    """A file or a folder, such as a model's, is identified by its name and contents, not by its path."""
    if isinstance(value, list):
        return [_identity(v) for v in value]
    if not isinstance(value, Path):
        return value
    for path in (value, value / "model.safetensors"):
        if path.is_file():
            return f"{value.name}: {sha256(path)}"
    weights = [p for p in value.glob("*") if p.suffix in (".safetensors", ".bin") and p.is_file()]
    found = {p.name: sha256(p) for p in sorted(weights) or [value / "tokenizer.json"] if p.is_file()}
    if weights:  # in several files, or of PyTorch's form
        return f"{value.name}: {hashlib.sha256(json.dumps(found).encode()).hexdigest()}"
    return f"{value.name}: {found['tokenizer.json']}" if found else value.name


def _collected(a: argparse.Namespace) -> dict[str, Any]:
    """What `collect` reads is identified by it: folders by their files, packages by their versions."""
    found: dict[str, Any] = {}
    if a.folder:
        found["folder"] = [collect.identity(*collect.with_licence(f)) for f in a.folder]
    if a.packages:
        found["packages"] = collect.installed()
    if a.packages_in:
        found["packages_in"] = f"{a.packages_in.name}: {collect.installed(a.packages_in)}"
    return found | ({"standard_library": f"Python {platform.python_version()}"} if a.standard_library else {})


def options_of(a: argparse.Namespace) -> dict[str, Any]:
    """The options that the output depends on: neither the executor nor the output folder."""
    skip = {"out", "input", "step", "do", "workers", "executor", "partition", "verbose"}
    more = _collected(a) if a.step == "collect" else {}
    given = {k: v for k, v in sorted(vars(a).items()) if k not in skip}
    found = {k: more[k] if k in more else _identity(v) for k, v in given.items()}
    if "tokenizer" in given and (file := given["tokenizer"] / "tokenizer.json").is_file():
        found["tokenizer"] = f"{given['tokenizer'].name}: {sha256(file)}"  # whatever weights lie beside it
    return steps.written(found)


def check(a: argparse.Namespace) -> None:
    """Raise ValueError for options that contradict each other or would have no effect."""
    def need(condition: Any, why: str) -> None:
        if not condition:
            raise ValueError(why)
    need(not a.partition or a.executor == "slurm", "--partition needs --executor slurm")
    if a.step in SINGLE:
        for name, usual in (("tasks", 1), ("workers", 1), ("executor", "local")):
            need(getattr(a, name) == usual, f"--{name} has no effect: {a.step} is a single task on this machine")
    if "endpoint" in a:
        need(a.model or not a.endpoint, "--endpoint needs --model")
        need(a.endpoint or not a.model, "--model needs --endpoint: without it no model is asked")
        if a.endpoint:
            endpoint.Endpoint(a.endpoint, a.model)
    if a.step == "decontaminate":
        need(a.checkpoint or not a.distance, "--distance needs --checkpoint, the model for embeddings")
    if a.step == "collect":
        files, rows = ("folder", "standard_library", "packages", "packages_in", "size", "share"), (
            "column", "licence_column", "limit")
        usual = vars(parser().parse_args(["collect", "--out", "x"]))
        for name in files if a.data_set else rows:
            given = f"--{name.replace('_', '-')}"
            need(
                getattr(a, name) == usual[name],
                f"{given} has no effect with --data-set; collect each into a folder of its own" if a.data_set else
                f"{given} needs --data-set")
        need(
            a.data_set or a.folder or a.standard_library or a.packages or a.packages_in,
            "nothing to collect: name a --folder, --standard-library, --packages, --packages-in or a --data-set")


SINGLE = {"filter", "decontaminate", "tokenizer", "pack"}
"""Steps that are one task on this machine."""
POSITIVE, NATURAL, SHARE = number(int, 1), number(int, 0), number(float, 0, 1)


def benchmark(text: str) -> Path:
    """Return the path of a benchmark's file, or of this package's of that name."""
    return heldout.FILES.get(text, Path(text))


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="phitools.data", description=__doc__.split("\n")[0])
    commands = top.add_subparsers(dest="step", required=True)

    def command(name: str, do: Any, help: str, takes: bool = True, asks: bool = False) -> argparse.ArgumentParser:
        c = commands.add_parser(name, help=help, description=help)
        c.set_defaults(do=do)
        c.add_argument("--out", type=Path, required=True)
        if takes:
            c.add_argument("--input", type=Path, nargs="+", required=True, help="folders of finished steps")
        c.add_argument("--tasks", type=POSITIVE, default=1, help="number of parallel tasks and output shards")
        c.add_argument("--workers", type=POSITIVE, default=1)
        c.add_argument("--executor", choices=["local", "slurm", "ray"], default="local")
        c.add_argument("--partition", default="", help="Slurm partition")
        c.add_argument("--seed", type=NATURAL, default=1)
        c.add_argument("--verbose", action="store_true", help="show datatrove's log")
        if asks:
            c.add_argument("--endpoint", default="", help=f"URL of an OpenAI-compatible server (key: ${endpoint.KEY})")
            c.add_argument("--model", default="")
        return c
    c = command("collect", run_collect, "Collect Python files with their licences.", takes=False)
    c.add_argument(
        "--folder", action="append", default=[], metavar="PATH:LICENCE", help="without a licence none is taken")
    c.add_argument("--standard-library", action="store_true")
    c.add_argument("--packages", action="store_true", help="installed packages under permissive licences")
    c.add_argument("--packages-in", type=Path, help="a folder made by pip install --target; likewise")
    c.add_argument(
        "--size", type=POSITIVE, default=2500, help="approximate characters per document; longer modules are cut")
    c.add_argument("--share", type=SHARE, default=1.0, help="share of the files to use, chosen by hash")
    c.add_argument("--data-set", default="", help="a data set on the Hugging Face hub, streamed")
    c.add_argument("--column", default="content")
    c.add_argument("--licence-column", default="license")
    c.add_argument("--limit", type=NATURAL, default=0, help="rows of the data set per task; 0: all")
    c = command("annotate", run_annotate, "Label the educational value, by an endpoint or a rule.", asks=True)
    c.add_argument(
        "--sample", type=NATURAL, default=0,
        help="label this many documents only, for `filter` to judge the rest; 0: all")
    c = command("filter", run_filter, "Keep documents that a random forest on phi's embeddings classifies as valuable.")
    c.add_argument("--checkpoint", type=Path, required=True)
    c.add_argument("--labelled", type=POSITIVE, default=100_000, help="labelled documents used for training")
    c.add_argument("--threshold", type=SHARE, default=0.5)
    c = command("dedup", run_dedup, "Remove exact and near duplicates.")
    c.add_argument("--exact-only", action="store_true")
    for kind, do in (("exercises", run_exercises), ("textbooks", run_textbooks)):
        c = command(kind, do, f"Generate {kind}, offline or with an endpoint.", takes=False, asks=True)
        c.add_argument("--count", type=POSITIVE, required=True)
    c = command("tasks", run_tasks, "Generate exercises of everyday tasks in many wordings.", takes=False)
    c.add_argument("--count", type=POSITIVE, required=True)
    c.add_argument("--first-course", action="store_true", help="only tasks that a first course of programming has")
    c = command("decontaminate", run_decontaminate, "Remove documents similar to a benchmark's problems.")
    c.add_argument(
        "--benchmark", type=benchmark, nargs="+", required=True,
        help="JSONL in HumanEval's or MBPP's format; of this package: " + ", ".join(heldout.FILES))
    c.add_argument(
        "--tau", type=number(float, 0), default=0.95, help="remove at this match rate of syntax trees; 2: never")
    c.add_argument(
        "--distance", type=number(float, 0), default=0.0, help="remove below this distance between embeddings")
    c.add_argument("--checkpoint", type=Path, help="the model for embeddings")
    c = command("tokenizer", run_tokenizer, "Train a BPE tokenizer.")
    c.add_argument("--vocabulary", type=number(int, bpe.LEAST, bpe.MOST), required=True)
    c.add_argument("--positions", type=POSITIVE, default=1024)
    c.add_argument("--characters", type=NATURAL, default=0, help="maximum characters from each input; 0: all")
    c = command("pack", run_pack, "Write token shards.")
    c.add_argument("--tokenizer", type=Path, required=True)
    c.add_argument("--shuffle", action="store_true", help="shuffle the documents of all inputs, by the seed")
    c.add_argument(
        "--part", choices=["all", "train", "validation"], default="all",
        help="one document in fifty, by its hash, is for validation")
    c.add_argument("--most", type=NATURAL, default=0, help="stop after this many tokens; 0: all")
    c.add_argument(
        "--documents", type=NATURAL, default=0, help="take this many documents, the first after shuffling; 0: all")
    c.add_argument(
        "--of-a-task", type=NATURAL, default=0,
        help="take at most this many exercises of one everyday task, the first after shuffling; 0: all")
    c.add_argument("--solutions", action="store_true", help="train only on the code after a function's docstring")
    return top


def made(a: argparse.Namespace, options: dict[str, Any], inputs: list[Path]) -> dict[str, Any]:
    """Make or go on with a step, and return its counts."""
    steps.begin(a.out, options, inputs)
    try:
        counts = a.do(a)
        counts = counts if a.step == "tokenizer" else steps.count(a.out) | counts
        finish(a.out, a.step, options, inputs, counts)
    except BaseException as error:
        if isinstance(error, Exception) or a.executor == "local":  # a job of Slurm's goes on
            steps.fail(a.out)
        if isinstance(error, OSError) and error.errno in FULL:
            steps.clear(a.out)
            if not error.filename:
                raise OSError(f"{a.out}: cannot be written ({error.strerror or error})") from None
        raise
    return counts


@command
def main() -> int:
    a = parser().parse_args()
    if not a.verbose:
        os.environ.setdefault("DATATROVE_COLORIZE_LOGS", "0")
        from loguru import logger
        logger.disable("datatrove")
        logging.disable(logging.INFO)
    try:
        check(a)
        inputs = getattr(a, "input", [])
        options = options_of(a)
        if finished(a.out, options, inputs):
            say(f"{a.out}: complete")
            return 0
        for folder in inputs:
            verify(folder)
        if a.step == "pack":  # which writes its folder in one go, with its manifest
            counts = a.do(a)
        else:
            with locked(a.out):
                counts = made(a, options, inputs)
        show(json.dumps({"step": a.step, **counts}))
        return 0
    except (OSError, ValueError) as error:
        say(f"phitools.data {a.step}: {error}")
        return 1
    except ModuleNotFoundError as error:
        wanted = f"needs the package {error.name}: pip install './Tools[data,train]'"
        say(f"phitools.data {a.step}: {wanted}")
        return 1
    except KeyboardInterrupt:
        say(f"phitools.data {a.step}: interrupted; start it again to go on")
        return 130


if __name__ == "__main__":
    sys.exit(main())
