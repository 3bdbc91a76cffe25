"""Run a step of the data pipeline: python -m phitools.data STEP --out FOLDER ...; see `STEP --help`.

A step that is complete with the same options is not run again; a killed step continues.
"""
from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..packed import sha256
from . import annotate, bpe, collect, decontaminate, dedup, endpoint, pack, steps, synthetic
from .steps import Documents, Where, finish, finished, read, writer


def where_of(a: argparse.Namespace) -> Where:
    return Where(a.executor, a.tasks, a.workers, a.partition)


def run_collect(a: argparse.Namespace) -> dict[str, Any]:
    if a.data_set:
        source: Any = collect.streamed(a.data_set, a.column, a.licence_column, a.limit)
    else:
        folders = [(Path(f.split(":")[0]), f.partition(":")[2] or "unknown") for f in a.folder]
        source = collect.Collect(folders, a.standard_library, a.packages, a.size, a.share, a.packages_in)
    where_of(a).run([source, writer(a.out)], a.out / "logs" / "run")
    licences: dict[str, int] = {}
    for d in _unfinished(a.out):
        key = f"{d['metadata']['origin']}: {d['metadata']['licence']}"
        licences[key] = licences.get(key, 0) + 1
    (a.out / "licences.json").write_text(json.dumps(dict(sorted(licences.items())), indent=1) + "\n")
    return {}


def run_annotate(a: argparse.Namespace) -> dict[str, Any]:
    step = endpoint.runner(annotate.ask, a.endpoint, a.model, a.out, endpoint.annotated) if a.endpoint else None
    where_of(a).run(
        [Documents(a.input), step] if step else [Documents(a.input), annotate.Rule(), writer(a.out)],
        a.out / "logs" / "run")
    labels = [d["metadata"]["label"] for d in _unfinished(a.out)]
    return {"valuable": sum(labels)}


def run_filter(a: argparse.Namespace) -> dict[str, Any]:
    from . import select
    from .embed import Embedder
    embedder = Embedder(a.checkpoint)
    documents = [d for folder in a.input for d in read(folder)]
    vectors = embedder(d.text for d in documents)
    labels = np.array([int(d.metadata["label"]) for d in documents])
    sample = np.sort(np.random.default_rng(a.seed).permutation(len(documents))[:a.labelled])
    forest, report, curve = select.teach(vectors[sample], labels[sample], a.seed)
    score = forest.predict_proba(vectors)[:, 1]
    a.out.mkdir(parents=True, exist_ok=True)
    (a.out / steps.DOCUMENTS).mkdir(exist_ok=True)
    with open(a.out / steps.DOCUMENTS / "00000.jsonl", "w", encoding="utf-8") as f:
        for d, s in zip(documents, score):
            if s >= a.threshold:
                f.write(
                    json.dumps({"text": d.text, "id": d.id, "metadata": d.metadata | {"forest": round(float(s), 4)}})
                    + "\n")
    report |= {"documents": len(documents), "kept": int((score >= a.threshold).sum()), "threshold": a.threshold}
    select.write_report(report, a.out / "report.json")
    select.picture(curve, report, a.out / "roc.png")
    return report


def run_dedup(a: argparse.Namespace) -> dict[str, Any]:
    dedup.run(a.input, a.out, where_of(a), not a.exact_only)
    return {}


def _requested(a: argparse.Namespace, kind: str, offline: Any) -> dict[str, Any]:
    if a.endpoint:
        pipeline = [
            endpoint.Requests(kind, a.count, a.seed),
            endpoint.runner(endpoint.write, a.endpoint, a.model, a.out, endpoint.written)]
    else:
        pipeline = [offline, writer(a.out)]
    where_of(a).run(pipeline, a.out / "logs" / "run")
    return {}


def run_exercises(a: argparse.Namespace) -> dict[str, Any]:
    return _requested(a, "exercises", synthetic.Exercises(a.count, a.seed))


def run_textbooks(a: argparse.Namespace) -> dict[str, Any]:
    return _requested(a, "textbooks", synthetic.Textbooks(a.count, a.seed))


def run_decontaminate(a: argparse.Namespace) -> dict[str, Any]:
    benchmark = [p for path in a.benchmark for p in decontaminate.problems(path)]
    documents = [d for folder in a.input for d in read(folder)]
    embed = None
    if a.checkpoint:
        from .embed import Embedder
        embed = Embedder(a.checkpoint)
    keep, report = decontaminate.judge([d.text for d in documents], benchmark, a.tau, a.distance, embed)
    (a.out / steps.DOCUMENTS).mkdir(parents=True, exist_ok=True)
    with open(a.out / steps.DOCUMENTS / "00000.jsonl", "w", encoding="utf-8") as f:
        for d, stays in zip(documents, keep):
            if stays:
                f.write(json.dumps({"text": d.text, "id": d.id, "metadata": d.metadata}) + "\n")
    (a.out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def run_tokenizer(a: argparse.Namespace) -> dict[str, Any]:
    texts = []
    for folder in a.input:  # the same share of each, so that the largest does not dominate
        size = 0
        for d in read(folder):
            texts.append(d.text)
            size += len(d.text)
            if 0 < a.characters <= size:
                break
    bpe.save(bpe.train(texts, a.vocabulary), a.out, a.positions)
    return {"tokens": a.vocabulary}


def part_of(identifier: str) -> str:
    """Return "validation" for one document in fifty, by the hash of its id, else "train"."""
    return "validation" if int(hashlib.sha256(identifier.encode()).hexdigest()[:8], 16) % 50 == 0 else "train"


def run_pack(a: argparse.Namespace) -> None:
    texts = [d.text for folder in a.input for d in read(folder) if a.part in ("all", part_of(d.id))]
    if a.shuffle:
        order = np.random.default_rng(a.seed).permutation(len(texts))
        texts = [texts[i] for i in order]
    print(json.dumps(pack.pack(texts, a.tokenizer, a.out, most=a.most, solutions=a.solutions)))


def _unfinished(out: Path) -> Any:
    for path in sorted((out / steps.DOCUMENTS).glob("*.jsonl")):
        with open(path, encoding="utf-8") as f:
            yield from map(json.loads, f)


def _identity(value: Any) -> Any:
    """A file or a model's folder is identified by its contents, not by its path."""
    if isinstance(value, list):
        return [_identity(v) for v in value]
    if not isinstance(value, Path):
        return value
    for path in (value, value / "model.safetensors", value / "tokenizer.json"):
        if path.is_file():
            return f"{value.name}: {sha256(path)}"
    return value.name


def options_of(a: argparse.Namespace) -> dict[str, Any]:
    """The options that the output depends on: neither the executor nor the output folder."""
    skip = {"out", "input", "step", "do", "workers", "executor", "partition", "verbose"}
    return {k: _identity(v) for k, v in sorted(vars(a).items()) if k not in skip}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="phitools.data", description=__doc__.split("\n")[0])
    commands = top.add_subparsers(dest="step", required=True)

    def command(name: str, do: Any, help: str, takes: bool = True, asks: bool = False) -> argparse.ArgumentParser:
        c = commands.add_parser(name, help=help, description=help)
        c.set_defaults(do=do)
        c.add_argument("--out", type=Path, required=True)
        if takes:
            c.add_argument("--input", type=Path, nargs="+", required=True, help="folders of finished steps")
        c.add_argument("--tasks", type=int, default=1, help="number of parallel tasks and output shards")
        c.add_argument("--workers", type=int, default=1)
        c.add_argument("--executor", choices=["local", "slurm", "ray"], default="local")
        c.add_argument("--partition", default="", help="Slurm partition")
        c.add_argument("--seed", type=int, default=1)
        c.add_argument("--verbose", action="store_true", help="show datatrove's log")
        if asks:
            c.add_argument("--endpoint", default="", help=f"URL of an OpenAI-compatible server (key: ${endpoint.KEY})")
            c.add_argument("--model", default="")
        return c
    c = command("collect", run_collect, "Collect Python files with their licences.", takes=False)
    c.add_argument("--folder", action="append", default=[], metavar="PATH:LICENCE")
    c.add_argument("--standard-library", action="store_true")
    c.add_argument("--packages", action="store_true", help="installed packages under permissive licences")
    c.add_argument("--packages-in", type=Path, help="a folder made by pip install --target; likewise")
    c.add_argument("--size", type=int, default=2500, help="approximate characters per document; longer modules are cut")
    c.add_argument("--share", type=float, default=1.0, help="share of the files to use, chosen by hash")
    c.add_argument("--data-set", default="", help="a data set on the Hugging Face hub, streamed")
    c.add_argument("--column", default="content")
    c.add_argument("--licence-column", default="license")
    c.add_argument("--limit", type=int, default=0, help="rows of the data set per task; 0: all")
    command("annotate", run_annotate, "Label the educational value, by an endpoint or a rule.", asks=True)
    c = command("filter", run_filter, "Keep documents that a random forest on phi's embeddings classifies as valuable.")
    c.add_argument("--checkpoint", type=Path, required=True)
    c.add_argument("--labelled", type=int, default=100_000, help="labelled documents used for training")
    c.add_argument("--threshold", type=float, default=0.5)
    c = command("dedup", run_dedup, "Remove exact and near duplicates.")
    c.add_argument("--exact-only", action="store_true")
    for kind, do in (("exercises", run_exercises), ("textbooks", run_textbooks)):
        c = command(kind, do, f"Generate {kind}, offline or with an endpoint.", takes=False, asks=True)
        c.add_argument("--count", type=int, required=True)
    c = command("decontaminate", run_decontaminate, "Remove documents similar to a benchmark's problems.")
    c.add_argument("--benchmark", type=Path, nargs="+", required=True, help="JSONL in HumanEval's or MBPP's format")
    c.add_argument("--tau", type=float, default=0.95, help="remove at this match rate of syntax trees; 2: never")
    c.add_argument("--distance", type=float, default=0.0, help="remove below this distance between embeddings")
    c.add_argument("--checkpoint", type=Path, help="the model for embeddings")
    c = command("tokenizer", run_tokenizer, "Train a BPE tokenizer.")
    c.add_argument("--vocabulary", type=int, required=True)
    c.add_argument("--positions", type=int, default=1024)
    c.add_argument("--characters", type=int, default=0, help="maximum characters from each input; 0: all")
    c = command("pack", run_pack, "Write token shards.")
    c.add_argument("--tokenizer", type=Path, required=True)
    c.add_argument("--shuffle", action="store_true", help="shuffle the documents of all inputs, by the seed")
    c.add_argument(
        "--part", choices=["all", "train", "validation"], default="all",
        help="one document in fifty, by its hash, is for validation")
    c.add_argument("--most", type=int, default=0, help="stop after this many tokens; 0: all")
    c.add_argument("--solutions", action="store_true", help="train only on the code after a function's docstring")
    return top


def main() -> int:
    a = parser().parse_args()
    if not a.verbose:
        os.environ.setdefault("DATATROVE_COLORIZE_LOGS", "0")
        from loguru import logger
        logger.disable("datatrove")
        logging.disable(logging.INFO)
    try:
        if a.step == "pack":
            a.do(a)
            return 0
        inputs = getattr(a, "input", [])
        options = options_of(a)
        if finished(a.out, options, inputs):
            print(f"{a.out}: complete", file=sys.stderr)
            return 0
        a.out.mkdir(parents=True, exist_ok=True)
        more = a.do(a)
        counts = more if a.step == "tokenizer" else steps.count(a.out) | more
        finish(a.out, a.step, options, inputs, counts)
        print(json.dumps({"step": a.step, **counts}))
        return 0
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == 28:
            shutil.rmtree(a.out / "logs", ignore_errors=True)
        print(f"phitools.data {a.step}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
