"""Prepare the peers, run them in turn, and write the results, the tables and the chart.

    make bench                                     everything; existing builds and samples are kept
    python -m compare prepare                      builds and conversions only
    python -m compare run --rounds 3 --peers swift-phi,llama.cpp
    python -m compare report Bench/results/NAME.json

An interrupted run resumes when it is started again with the same name.
"""
from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable
from importlib.util import find_spec
from itertools import product
from pathlib import Path

from compare.cases import BY_NAME, CASES, FIRST_TOKEN, TURNS
from compare.machine import commit, machine
from compare.peers import Contender
from compare.peers.llama_cpp import IkLlamaCpp, LlamaCpp
from compare.peers.onnxruntime import OnnxRuntime
from compare.peers.openvino import OpenVINO
from compare.peers.swift_phi import SwiftPhi
from compare.peers.transformers import Transformers
from compare.picture import draw
from compare.processes import REPOSITORY, Failed
from compare.results import Results, read_whole
from compare.table import insert_results, page
from compare.workspace import Workspace
from inputs import Parser, at_least, file, folder, new_folder, one_line, read_text, runnable, write_text

CONTENDERS: list[Contender] = [
    SwiftPhi("q4", 4), LlamaCpp("Q4_0", 4), LlamaCpp("Q4_K_M", 4), IkLlamaCpp("Q4_0", 4), OpenVINO(),
    OnnxRuntime(),
    SwiftPhi("q8", 8), LlamaCpp("Q8_0", 8), IkLlamaCpp("Q8_0", 8), Transformers(),
]
PEERS = list(dict.fromkeys(contender.peer for contender in CONTENDERS))
BENCH = REPOSITORY / "Bench"


def main(given: list[str]) -> None:
    with one_line("compare", Failed, interrupted="stopped; repeat the command to resume"):
        arguments = parsed(given)
        if arguments.action == "report":
            report(arguments.results, arguments.readme)
        else:
            run(arguments)


def run(arguments: argparse.Namespace) -> None:
    """Prepare the peers and, unless that is all, measure and report; what can be checked is checked before."""
    workspace = Workspace(
        folder=arguments.folder.resolve(), phi=arguments.phi.resolve(), threads=arguments.threads,
        isa=arguments.isa,
        tokenizer=arguments.tokenizer, ik_llama=arguments.ik_llama)
    chosen = [c for c in CONTENDERS if c.peer in arguments.peers and (
        c.peer != IkLlamaCpp.peer or workspace.ik_llama)]
    if not chosen:
        raise Failed(f"--peers {','.join(arguments.peers)}: give --ik-llama, or other peers")
    if SwiftPhi.peer in arguments.peers:
        runnable("make build makes phi")(str(workspace.phi))
    if workspace.tokenizer:
        file("--tokenizer a folder with phi's tokenizer")(str(workspace.tokenizer / "tokenizer.json"))
    if workspace.ik_llama:
        runnable("--ik-llama names a build folder with it")(str(workspace.ik_llama / "bin" / "llama-bench"))
    setting = {
        "machine": machine(), "threads": workspace.threads, "isa": workspace.isa, "commit": commit(REPOSITORY)}
    name = arguments.name or default_name(setting)
    path = BENCH / "results" / f"{name}.json"
    results = None
    if arguments.action == "run":
        results = Results(path, setting)
        check_report(path, arguments.readme, arguments.cases)
    workspace.folder.mkdir(parents=True, exist_ok=True)
    ready = prepare(chosen, workspace, results)
    if results is None:
        return
    measure(ready, workspace, results, arguments.rounds, arguments.cases)
    results.save()
    report(results.path, arguments.readme)


def check_report(path: Path, readme: Path | None, cases: list[str]) -> None:
    """Raise `Failed` or ValueError if a package that measures or reports is missing, or the page has no place for the
    results."""
    for package in ("matplotlib", *(["tokenizers"] if FIRST_TOKEN in cases else [])):
        if not find_spec(package):
            raise Failed(f"needs the package {package}, which {sys.executable} lacks; install Bench/requirements.txt")
    if readme:
        inserted(readme, path, "")


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
    data = read_whole(results)
    picture = results.with_suffix(".svg")
    table = page(data, picture.name)
    text = inserted(readme, results, page(data, picture_from(readme, results))) if readme else ""
    draw(data, picture)
    write_text(results.with_suffix(".md"), table)
    if readme:
        write_text(readme, text)
    print(table)


def picture_from(readme: Path, results: Path) -> str:
    """Return the chart's path as the page names it."""
    try:
        picture = results.with_suffix(".svg").resolve()
        return picture.relative_to(readme.resolve().parent).as_posix()
    except ValueError:
        raise Failed(f"{readme}: {results} is not below its folder; give a page that can name its chart") from None


def inserted(readme: Path, results: Path, text: str) -> str:
    """Return the page with the results' text between its marks; raise `Failed` if it has no place for them."""
    picture_from(readme, results)
    try:
        return insert_results(read_text(readme), text)
    except ValueError as error:
        raise Failed(f"{readme}: {str(error).removeprefix(f'{readme}: ')}") from None


def default_name(setting: dict) -> str:
    words = "".join(c if c.isalnum() else " " for c in str(setting["machine"]["cpu"]).lower()).split()
    kept = [word for word in words if word not in ("r", "tm", "cpu", "processor", "core", "with")][:5] or [
        platform.machine()]
    return "-".join(kept + ([] if setting["isa"] == "native" else [setting["isa"]]))


def chosen_from(known: list[str]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",") if name.strip()]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"unknown: {name}; known: {', '.join(known)}")
        if not names:
            raise argparse.ArgumentTypeError(f"names none; known: {', '.join(known)}")
        return names

    return read


def file_name(text: str) -> str:
    if Path(text).name != text:
        raise argparse.ArgumentTypeError(f"{text!r} is to be a name, without folders")
    return text


def parsed(given: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog="compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    names, page_file = [case.name for case in CASES], file("a page with marks for the results")
    for action in ("prepare", "run"):
        sub = actions.add_parser(action)
        sub.add_argument(
            "--folder", type=new_folder, default=REPOSITORY / ".build" / "bench", help="folder of peers and models")
        sub.add_argument(
            "--phi", type=Path, default=REPOSITORY / ".build" / "release" / "phi", help="the command to measure")
        sub.add_argument("--peers", type=chosen_from(PEERS), default=PEERS, help=f"subset of {','.join(PEERS)}")
        sub.add_argument("--cases", type=chosen_from(names), default=names, help=f"subset of {','.join(names)}")
        sub.add_argument("--rounds", type=at_least(1), default=5)
        sub.add_argument("--threads", type=at_least(1), default=2)
        sub.add_argument(
            "--isa", choices=["native", "avx2"], default="native", help="avx2: limit swift-phi and llama.cpp to AVX2")
        sub.add_argument("--name", type=file_name, help="name of the files in Bench/results (default: the CPU's)")
        sub.add_argument("--tokenizer", type=folder, help="a folder with phi's tokenizer (default: a generated one)")
        sub.add_argument("--ik-llama", type=folder, help="a build folder of ik_llama.cpp")
        sub.add_argument("--readme", type=page_file, help="a page to insert the results into")
    sub = actions.add_parser("report")
    sub.add_argument("results", type=file("a file of Bench/results"))
    sub.add_argument("--readme", type=page_file)
    return parser.parse_args(given)


if __name__ == "__main__":
    main(sys.argv[1:])
