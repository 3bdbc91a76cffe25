"""The measures of all finished runs in one small file, from which `report` makes everything."""
from __future__ import annotations

import gzip
import io
import json
import zlib
from pathlib import Path
from typing import Any

from ..durable import write_file
from ..train.shape import Shape
from .plan import ARMS, SIZES, Options, Scale, runs


def parameters(size: str, scale: Scale) -> int:
    """Return the number of parameters of a phi of this size."""
    hidden, layers, heads = SIZES[size]
    return Shape(scale.vocabulary, hidden, layers, heads, 4 * hidden, scale.context).parameters


def gather(o: Options) -> dict[str, Any]:
    """Return the measures of every run that has its losses. A run's `bits` are per problem, in the order of `bytes`;
    its `pairs` are 1 where the right completion is likelier."""
    found: dict[str, Any] = {
        "sizes": list(o.scale.sizes), "tokens": o.scale.tokens,
        "parameters": {s: parameters(s, o.scale) for s in o.scale.sizes},
        "bytes": {}, "tasks": {}, "runs": {}}
    for arm, size, seed in runs(o.scale, o.seeds):
        folder = o.folder / "runs" / f"{arm}-{size}-{seed}"
        losses = {m: folder / f"code-loss-{m}.json" for m in o.problem_sets}
        pairs = {b: folder / f"pairs-{b}.json" for b in o.benchmarks}
        if not all(p.exists() for p in losses.values()):
            continue
        run: dict[str, Any] = {"arm": arm, "size": size, "seed": seed, "bits": {}, "pairs": {}, "truncated": {}}
        for measure, path in losses.items():
            result = json.loads(path.read_text())
            run["bits"][measure] = [round(r["bits"], 3) for r in result["results"]]
            run["truncated"][measure] = result["truncated"]
            found["bytes"][measure] = [r["bytes"] for r in result["results"]]
        for benchmark, path in ((b, p) for b, p in pairs.items() if p.exists()):
            results = json.loads(path.read_text())["results"]
            run["pairs"][benchmark] = [int(r["right"] < r["wrong"]) for r in results]
            found["tasks"][benchmark] = [r["task_id"] for r in results]
        log = (folder / "log.jsonl").read_text().splitlines()
        run["loss"] = json.loads(log[-1]).get("loss")
        found["runs"][folder.name] = run
    if not found["runs"]:
        raise ValueError(f"{o.folder}: no run has been measured yet")
    return found


def save(measures: dict[str, Any], path: Path) -> None:
    """Write the measures as gzipped JSON, the same bytes for the same measures."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0, filename="") as f:
        f.write(json.dumps(measures, separators=(",", ":")).encode())
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, lambda fresh: fresh.write_bytes(out.getvalue()))


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote; raise ValueError for another file."""
    try:
        measures = json.loads(gzip.decompress(path.read_bytes()))
        measures["sizes"]
        if {r["arm"] for r in measures["runs"].values()} - set(ARMS):
            raise ValueError("unknown arms")
        return measures
    except (gzip.BadGzipFile, zlib.error, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a file of measures ({error})") from None
