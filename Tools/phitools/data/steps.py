"""The form of every step: documents in, a folder with documents and a manifest out, on datatrove's executors.

A step's folder contains `documents/00000.jsonl`, ... and `manifest.json`, written last: a folder without it is
incomplete, and running the step again with the same options resumes with the unfinished tasks. The manifest lists
options, counts, and hashes of inputs and outputs. Data sets are reproducible to the byte: shards are uncompressed and
contain no times.
"""
from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import stat
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count as count_up
from pathlib import Path
from typing import Any, TypeVar

from datatrove.data import Document
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.writers.jsonl import JsonlWriter

from ..durable import write_text
from ..output import say
from ..packed import sha256

MANIFEST, DOCUMENTS = "manifest.json", "documents"
LOGS, ANSWERS, BEGUN, FAILED = "logs", "answers", "begun.json", "failed.json"
"""Of an unfinished step: the executors' notes, an endpoint's answers, what the step was begun with, and the same of one
that failed with nothing done."""
BESIDE = ("licences.json", "report.json", "problems.jsonl", "roc.png")
"""What steps write beside their documents."""
CHEAP = 1 << 28
"""Bytes of a folder that are read to identify it."""
Item = TypeVar("Item")


def told(items: Iterable[Item], what: str, rank: int = 0, total: int = 0, every: float = 10.0) -> Iterator[Item]:
    """Yield the items, telling how many there were so far every ten seconds."""
    begun = last = time.monotonic()
    for number, item in enumerate(items):
        if time.monotonic() - last >= every:
            last = time.monotonic()
            of = f" of {total:,}" if total else ""
            task = f", task {rank}" if rank else ""
            say(f"phitools.data: {what}: {number:,}{of}, {last - begun:.0f} s{task}")
        yield item


@dataclass(frozen=True)
class Where:
    """The executor of pipelines and its options."""

    executor: str = "local"
    """"local", "slurm" or "ray"."""
    tasks: int = 1
    """The number of tasks and shards, which affects the output's bytes."""
    workers: int = 1
    """The number of tasks that run concurrently."""
    partition: str = ""
    """The Slurm partition."""
    time: str = "04:00:00"

    def run(self, pipeline: list[Any], logs: Path, tasks: int | None = None) -> None:
        """Run a pipeline to its end, skipping tasks completed by an earlier run."""
        count = tasks or self.tasks
        if self.executor == "slurm":
            from datatrove.executor.slurm import SlurmPipelineExecutor
            executor = SlurmPipelineExecutor(
                pipeline, tasks=count, workers=self.workers, time=self.time, partition=self.partition,
                logging_dir=str(logs), slurm_logs_folder=str(logs / "slurm"), job_name="phitools")
            executor.run()
            wait_for_slurm(executor.job_id, logs, count)
        elif self.executor == "ray":
            from datatrove.executor.ray import RayPipelineExecutor
            RayPipelineExecutor(pipeline, tasks=count, workers=self.workers, logging_dir=str(logs)).run()
        else:
            LocalPipelineExecutor(
                pipeline, tasks=count, workers=self.workers, logging_dir=str(logs), start_method="spawn").run()
        return left_out(logs)


def wait_for_slurm(job: Any, logs: Path, tasks: int, every: float = 2.0) -> None:
    """Wait until a job's tasks are complete; ValueError if it ends before."""
    def done() -> int:
        return len(list((logs / "completions").glob("*")))
    for number in told(count_up(), "turns of waiting for Slurm"):
        if done() >= tasks:
            return
        queued = subprocess.run(["squeue", "--noheader", "--job", str(job)], capture_output=True, text=True)
        if number and not queued.stdout.strip() and done() < tasks:
            raise ValueError(
                f"{logs / 'slurm'}: Slurm's job {job} ended with {done()} of {tasks} tasks done; start again to go on")
        time.sleep(every)


def left_out(logs: Path) -> dict[str, int]:
    """Return how many documents a pipeline's tasks left out, by the reason that its steps counted."""
    found: dict[str, int] = {}
    for path in sorted((logs / "stats").glob("*.json")):
        for step in json.loads(path.read_text(encoding="utf-8")):
            for reason, n in step["stats"].items():
                if reason.startswith("left out: "):
                    found[reason] = found.get(reason, 0) + int(n["total"] if isinstance(n, dict) else n)
    return dict(sorted(found.items()))


def written(value: Any) -> Any:
    """Return a value of JSON with question marks for what is no text in UTF-8: some bytes of a path, or half of a
    surrogate pair."""
    if isinstance(value, dict):
        return {written(k): written(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [written(v) for v in value]
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def writer(out: Path) -> JsonlWriter:
    """Return a writer of uncompressed JSONL shards with sorted metadata keys."""
    return JsonlWriter(str(out / DOCUMENTS), output_filename="${rank}.jsonl", compression=None,
                       adapter=lambda self,
                       d: {"text": d.text, "id": d.id, "metadata": written(dict(sorted(d.metadata.items())))})


def write_documents(out: Path, documents: Iterable[Document]) -> None:
    """Write a step's documents in one shard, without an executor."""
    (out / DOCUMENTS).mkdir(parents=True, exist_ok=True)
    with open(out / DOCUMENTS / "00000.jsonl", "w", encoding="utf-8") as f:
        for d in documents:
            f.write(json.dumps({"text": d.text, "id": d.id, "metadata": written(d.metadata)}) + "\n")


def folder_digest(folder: Path) -> str:
    """Return the manifest's hash, which identifies a step's folder."""
    read_manifest(folder)
    return sha256(folder / MANIFEST)


def tree_digest(files: Iterable[tuple[str, Path]]) -> str:
    """Return a hash of files' names and sizes, and of their bytes if there are not too many."""
    found = sorted((inside, path, path.lstat()) for inside, path in files)
    regular = [about.st_size for _, _, about in found if stat.S_ISREG(about.st_mode)]
    digest = hashlib.sha256()
    for inside, path, about in found:
        read = stat.S_ISREG(about.st_mode) and sum(regular) <= CHEAP
        digest.update(f"{inside}\0{about.st_size}\0{sha256(path) if read else ''}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def digests(inputs: list[Path]) -> list[list[str]]:
    """Return each input's name and the hash of its manifest, for the manifest of what is made of them."""
    return [[written(p.name), folder_digest(p)] for p in inputs]


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return a step's manifest; FileNotFoundError if there is none, ValueError for something else in its place."""
    path = folder / MANIFEST
    if not path.exists():
        raise FileNotFoundError(f"{path}: missing; that step has not finished")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict) or "step" not in manifest:
        raise ValueError(f"{path}: not the manifest of a step")
    return manifest


def verify(folder: Path) -> None:
    """Raise ValueError for a file of a finished step that is not as its manifest says, or that it does not name."""
    files = read_manifest(folder).get("files", {})
    for path in sorted((folder / DOCUMENTS).glob("*.jsonl")):
        if str(path.relative_to(folder)) not in files:
            raise ValueError(f"{path}: not of this step; its manifest does not name it")
    for inside, digest in told(files.items(), f"{folder.name}: files checked"):
        if not (folder / inside).is_file() or sha256(folder / inside) != digest:
            raise ValueError(f"{folder / inside}: not as its step left it (its hash differs); make {folder} again")


def finished(out: Path, options: dict[str, Any], inputs: list[Path]) -> bool:
    """Whether the step is complete with these options and inputs; with others it is an error."""
    path = out / MANIFEST
    if not path.exists():
        return False
    manifest = read_manifest(out)
    if manifest.get("options") != json.loads(json.dumps(options)) or manifest.get("inputs") != digests(inputs):
        raise ValueError(f"{out}: was made with other options or inputs; remove it or choose another folder")
    return True


def begin(out: Path, options: dict[str, Any], inputs: list[Path]) -> None:
    """Note in a step's folder what it is made with, or go on with one that was begun so; with others it is an error:
    finished tasks would be of the others."""
    path = out / LOGS / BEGUN
    if (out / LOGS / FAILED).exists():
        _remove_made(out)
        shutil.rmtree(out / LOGS, ignore_errors=True)
    wanted = {"options": json.loads(json.dumps(options)), "inputs": digests(inputs)}
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if found != wanted:
            raise ValueError(f"{out}: was begun with other options or inputs; remove it or choose another folder")
    elif (out / LOGS).exists() or (out / DOCUMENTS).exists():
        raise ValueError(f"{out}: holds a step that was not begun by this version; remove it or choose another folder")
    elif out.exists() and any(out.iterdir()):
        raise ValueError(f"{out}: holds other files; choose a folder of its own")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(wanted, sort_keys=True) + "\n")


def _remove_made(out: Path) -> None:
    shutil.rmtree(out / DOCUMENTS, ignore_errors=True)
    for name in BESIDE:
        (out / name).unlink(missing_ok=True)


def clear(out: Path) -> None:
    """Remove what an unfinished step has made, for its place on the disk, but not an endpoint's answers. A finished one
    is left alone."""
    if (out / MANIFEST).exists():
        return
    _remove_made(out)
    for path in (out / LOGS).glob("*"):
        if path.name not in (ANSWERS, BEGUN):
            shutil.rmtree(path, ignore_errors=True)


def fail(out: Path) -> None:
    """Let a step that failed before it had done a task, or had an answer, be begun with other options: its own may have
    been wrong. A finished step is left alone."""
    if (out / MANIFEST).exists():
        return
    done = any((out / LOGS).glob("*/completions/*")) or any(
        p.read_text(encoding="utf-8").strip() for p in (out / LOGS / ANSWERS).glob("*"))
    if not done and (out / LOGS / BEGUN).exists():
        os.replace(out / LOGS / BEGUN, out / LOGS / FAILED)


def finish(out: Path, step: str, options: dict[str, Any], inputs: list[Path], counts: dict[str, Any]) -> None:
    """Write the manifest, which marks the folder as complete."""
    files = sorted(
        p for p in out.rglob("*") if p.is_file() and LOGS not in p.relative_to(out).parts and p.name != MANIFEST)
    manifest = {
        "step": step, "options": options, "inputs": digests(inputs), "counts": counts,
        "files": {str(p.relative_to(out)): sha256(p) for p in files}, "python": platform.python_version()}
    write_text(out / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    shutil.rmtree(out / LOGS, ignore_errors=True)


def read(folder: Path) -> Iterator[Document]:
    """Yield a finished step's documents in order; raise ValueError with shard and line of an invalid one."""
    read_manifest(folder)
    for path in sorted((folder / DOCUMENTS).glob("*.jsonl")):
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                try:
                    d = json.loads(line)
                    yield Document(text=d["text"], id=d["id"], metadata=d["metadata"])
                except (ValueError, KeyError, TypeError) as error:
                    raise ValueError(f"{path}, line {number}: not a document ({error})") from None


def count(out: Path) -> dict[str, int]:
    """Count the documents and characters in a folder."""
    documents = characters = 0
    for path in sorted((out / DOCUMENTS).glob("*.jsonl")):
        with open(path, encoding="utf-8") as f:
            for line in f:
                documents, characters = documents + 1, characters + len(json.loads(line)["text"])
    return {"documents": documents, "characters": characters}


class Documents(PipelineStep):
    """A pipeline source of the documents of finished folders; task r of n reads every n-th document from r."""

    name, type = "folders", "READER"

    def __init__(self, folders: list[Path]) -> None:
        super().__init__()
        self.folders = folders

    def run(self, data=None, rank: int = 0, world_size: int = 1):
        def mine() -> Iterator[Document]:
            for number, document in enumerate(d for folder in self.folders for d in read(folder)):
                if number % world_size == rank:
                    yield document
        if data:
            yield from data
        yield from told(mine(), "documents", rank)


def name(text: str) -> str:
    """Return a document's id, a hash of its text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]
