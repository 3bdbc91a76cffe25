"""Prepare the peers, run them in turn, and write the results, the tables and the chart.

    make bench                                     everything; existing builds and samples are kept
    python -m compare prepare                      builds and conversions only
    python -m compare run --rounds 3 --peers swift-phi,llama.cpp
    python -m compare report Bench/results/NAME.json

An interrupted run resumes when it is started again with the same name.
"""
from __future__ import annotations

import argparse
import json
import platform
import sys
from itertools import product
from pathlib import Path

from compare.cases import BY_NAME, CASES, TURNS
from compare.machine import commit, machine
from compare.peers import Contender
from compare.peers.llama_cpp import IkLlamaCpp, LlamaCpp
from compare.peers.onnxruntime import OnnxRuntime
from compare.peers.openvino import OpenVINO
from compare.peers.swift_phi import SwiftPhi
from compare.peers.transformers import Transformers
from compare.picture import draw
from compare.processes import REPOSITORY, Failed
from compare.results import Results
from compare.table import insert_results, page
from compare.workspace import Workspace

CONTENDERS: list[Contender] = [
    SwiftPhi("q4", 4), LlamaCpp("Q4_0", 4), LlamaCpp("Q4_K_M", 4), IkLlamaCpp("Q4_0", 4), OpenVINO(),
    OnnxRuntime(),
    SwiftPhi("q8", 8), LlamaCpp("Q8_0", 8), IkLlamaCpp("Q8_0", 8), Transformers(),
]
PEERS = list(dict.fromkeys(contender.peer for contender in CONTENDERS))
BENCH = REPOSITORY / "Bench"


def main() -> None:
    arguments = parsed()
    try:
        if arguments.action == "report":
            report(arguments.results, arguments.readme)
            return
        workspace = Workspace(
            folder=arguments.folder.resolve(), phi=arguments.phi.resolve(), threads=arguments.threads,
            isa=arguments.isa,
            tokenizer=arguments.tokenizer, ik_llama=arguments.ik_llama)
        workspace.folder.mkdir(parents=True, exist_ok=True)
        chosen = [c for c in CONTENDERS if c.peer in arguments.peers and (
            c.peer != IkLlamaCpp.peer or workspace.ik_llama)]
        setting = {
            "machine": machine(), "threads": workspace.threads, "isa": workspace.isa, "commit": commit(REPOSITORY)}
        name = arguments.name or default_name(setting)
        results = None if arguments.action == "prepare" else Results(BENCH / "results" / f"{name}.json", setting)
        ready = prepare(chosen, workspace, results)
        if results is None:
            return
        measure(ready, workspace, results, arguments.rounds, arguments.cases)
        report(results.path, arguments.readme)
    except Failed as failure:
        sys.exit(f"compare: {failure}")
    except KeyboardInterrupt:
        sys.exit("compare: stopped; repeat the command to resume")


def prepare(chosen: list[Contender], workspace: Workspace, results: Results | None) -> list[Contender]:
    """Prepare contenders and return those that are ready; the results record the others' failures."""
    ready = []
    for contender in chosen:
        try:
            version = contender.prepare(workspace)
            print(f"ready: {contender.label}, {version}", file=sys.stderr, flush=True)
            ready.append(contender)
            if results:
                results.data["versions"][contender.label] = version
                results.data["failures"].pop(contender.label, None)
        except Failed as failure:
            print(f"NOT ready: {contender.label}: {failure}", file=sys.stderr, flush=True)
            if results:
                results.fail(contender.label, str(failure))
    return ready


def measure(ready: list[Contender], workspace: Workspace, results: Results, rounds: int, names: list[str]) -> None:
    """Measure round by round; within a round, all contenders measure one group of cases before the next. A contender
    that fails is skipped from then on, and its failure is recorded."""
    failed: set[str] = set()
    workspace.forget_models()
    for number, turn, contender in product(range(rounds), TURNS, ready):
        if contender.label in failed:
            continue
        missing = [
            BY_NAME[name] for name in turn
            if name in names and contender.can(BY_NAME[name]) and not results.has(number, contender.label, name)]
        try:
            for found in contender.measure(workspace, missing):
                command = workspace.by_default(found.command)
                results.add(number, contender.label, found.case.name, command, found.value, found.details)
                print(
                    f"round {number + 1}/{rounds}  {contender.label:22} {found.case.name:14} "
                    f"{found.value:9.3f} {found.case.unit}",
                    file=sys.stderr, flush=True)
        except Failed as failure:
            failed.add(contender.label)
            results.fail(contender.label, str(failure))
            print(f"FAILED: {contender.label}: {failure}", file=sys.stderr, flush=True)


def report(results: Path, readme: Path | None) -> None:
    """Write the tables and the chart next to the results, and the tables into `readme` if given."""
    data = json.loads(results.read_text())
    picture = results.with_suffix(".svg")
    draw(data, picture)
    results.with_suffix(".md").write_text(page(data, picture.name))
    if readme:
        inside = page(data, picture.resolve().relative_to(readme.resolve().parent).as_posix())
        readme.write_text(insert_results(readme.read_text(), inside))
    print(results.with_suffix(".md").read_text())


def default_name(setting: dict) -> str:
    words = "".join(c if c.isalnum() else " " for c in str(setting["machine"]["cpu"]).lower()).split()
    kept = [word for word in words if word not in ("r", "tm", "cpu", "processor", "core", "with")][:5] or [
        platform.machine()]
    return "-".join(kept + ([] if setting["isa"] == "native" else [setting["isa"]]))


def chosen_from(known: list[str]):
    def read(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",") if name.strip()]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"unknown: {name}; known: {', '.join(known)}")
        return names

    return read


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    names = [case.name for case in CASES]
    for action in ("prepare", "run"):
        sub = actions.add_parser(action)
        sub.add_argument(
            "--folder", type=Path, default=REPOSITORY / ".build" / "bench", help="folder of peers and models")
        sub.add_argument(
            "--phi", type=Path, default=REPOSITORY / ".build" / "release" / "phi", help="the command to measure")
        sub.add_argument("--peers", type=chosen_from(PEERS), default=PEERS, help=f"subset of {','.join(PEERS)}")
        sub.add_argument("--cases", type=chosen_from(names), default=names, help=f"subset of {','.join(names)}")
        sub.add_argument("--rounds", type=int, default=5)
        sub.add_argument("--threads", type=int, default=2)
        sub.add_argument(
            "--isa", choices=["native", "avx2"], default="native", help="avx2: limit swift-phi and llama.cpp to AVX2")
        sub.add_argument("--name", help="name of the files in Bench/results (default: the CPU's)")
        sub.add_argument("--tokenizer", type=Path, help="a folder with phi's tokenizer (default: a generated one)")
        sub.add_argument("--ik-llama", type=Path, help="a build folder of ik_llama.cpp")
        sub.add_argument("--readme", type=Path, help="a page to insert the results into")
    sub = actions.add_parser("report")
    sub.add_argument("results", type=Path)
    sub.add_argument("--readme", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
