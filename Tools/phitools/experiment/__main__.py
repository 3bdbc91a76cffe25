"""Run the experiment: python -m phitools.experiment run --folder runs/nano --phi .build/release/phi

Then `report --folder runs/nano` prints the table. `run` resumes after a kill; `plan` lists the jobs and those done.
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import plan, queue, report


def main() -> int:
    top = argparse.ArgumentParser(prog="phitools.experiment", description=__doc__.split("\n")[0])
    top.add_argument("do", choices=["run", "plan", "report"])
    top.add_argument("--folder", type=Path, required=True)
    top.add_argument("--phi", type=Path, default=Path(".build/release/phi"), help="the phi command")
    top.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    top.add_argument(
        "--benchmark", type=Path, nargs="*", default=[], help="files of HumanEval and MBPP for decontamination")
    top.add_argument("--workers", type=int, default=2)
    top.add_argument("--nice", type=int, default=19)
    top.add_argument("--picture", type=Path, help="the figure written by report, .svg or .png")
    a = top.parse_args()
    o = plan.Options(
        a.folder.resolve(), a.phi.resolve(), tuple(a.seeds), benchmarks=tuple(p.resolve() for p in a.benchmark))
    try:
        if a.do == "run":
            return queue.run(plan.jobs(o), o.folder / "logs", a.workers, a.nice)
        if a.do == "plan":
            for job in plan.jobs(o):
                print(f"{'done' if job.product.exists() else '    '}  {job.name}")
            return 0
        print(report.table(o))
        if a.picture:
            report.picture(o, a.picture)
        return 0
    except (OSError, ValueError) as error:
        print(f"phitools.experiment: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
