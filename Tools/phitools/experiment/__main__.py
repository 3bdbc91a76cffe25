"""Run the experiment of EXPERIMENT.md: python -m phitools.experiment run --out runs/experiment --humaneval
HumanEval.jsonl.gz --mbpp mbpp.jsonl

`run` continues after a kill; `plan` lists the jobs and those done; `report` prints table and criteria of the runs that
are done, or, without --out, of those in a file of measures. `efficiency` fine-tunes the models of `run` on more and
more exercises, and prints how many each needs; it continues after a kill, too.
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..output import command, say, show
from . import efficiency, measures, plan, queue, report


def _report(found: dict[str, Any], figure: Path | None) -> int:
    analysis = report.Analysis(found)
    show(report.text(analysis))
    if figure:
        report.picture(analysis, figure)
    return 0


@command
def main() -> int:
    top = argparse.ArgumentParser(prog="phitools.experiment", description=__doc__.split("\n\n")[0])
    top.add_argument("do", choices=["run", "plan", "report", "efficiency"])
    top.add_argument("--out", type=Path, help="the folder of all data, runs and logs")
    top.add_argument("--humaneval", type=Path, help="HumanEval's problem file")
    top.add_argument("--mbpp", type=Path, help="MBPP's problem file")
    top.add_argument("--phi", type=Path, default=Path(".build/release/phi"), help="the phi command")
    top.add_argument("--scale", choices=sorted(plan.SCALES), default="cpu")
    top.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    top.add_argument("--workers", type=int, default=1, help="jobs that run at a time")
    top.add_argument("--nice", type=int, default=19)
    top.add_argument("--figure", type=Path, help="the figure written by report, .svg or .png")
    top.add_argument("--measures", type=Path, help="the file of measures that report writes, or reads without --out")
    top.add_argument("--least", type=int, default=250, help="exercises that efficiency begins with")
    top.add_argument("--limit", type=int, default=400, help="held-out exercises that efficiency takes, the first ones")
    top.add_argument(
        "--set", action="append", default=[], metavar="TABLE.KEY=VALUE", help="a key of efficiency's fine-tuning")
    a = top.parse_args()
    try:
        if a.do == "report" and a.out is None and a.measures:
            return _report(measures.load(a.measures), a.figure)
        if None in (a.out, a.humaneval, a.mbpp):
            top.error("--out, --humaneval and --mbpp are needed")
        if min(a.least, a.limit, a.workers) < 1:
            raise ValueError("--least, --limit and --workers are to be 1 or more")
        o = plan.Options(
            a.out.resolve(), a.phi.resolve(), {"humaneval": a.humaneval.resolve(), "mbpp": a.mbpp.resolve()},
            plan.SCALES[a.scale], tuple(a.seeds))
        for path in (*o.benchmarks.values(), *([o.phi] if a.do in ("run", "efficiency") else [])):
            if not path.is_file():
                raise FileNotFoundError(f"{path}: no such file")
        plan.keep(o.folder / "scale.json", {"scale": a.scale}, a.do in ("run", "efficiency"))
        if a.do == "run":
            return queue.run(plan.jobs(o), o.folder / "logs", a.workers, a.nice)
        if a.do == "efficiency":
            plan.keep(o.folder / "efficiency" / "options.json", {"limit": a.limit, "set": a.set}, True)
            done = efficiency.run(o, a.workers, a.nice, a.least, tuple(a.set), a.limit)
            show(efficiency.report(o))
            return done
        if a.do == "plan":
            for job in plan.jobs(o):
                show(f"{'done' if job.product.exists() else '    '}  {job.name}")
            return 0
        found = measures.gather(o)
        if a.measures:
            measures.save(found, a.measures)
        return _report(found, a.figure)
    except (OSError, ValueError) as error:
        say(f"phitools.experiment: {error}")
        return 1
    except KeyboardInterrupt:
        say("phitools.experiment: interrupted; start it again to go on")
        return 130


if __name__ == "__main__":
    sys.exit(main())
