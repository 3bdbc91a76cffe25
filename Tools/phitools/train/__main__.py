"""Train phi: python -m phitools.train --config nano.toml [--set run.out=runs/nano]

Run it under torchrun for several processes.
"""
from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..output import command, say, show
from . import processes
from .config import load
from .loop import Training


@command
def main() -> int:
    parser = argparse.ArgumentParser(
        prog="phitools.train", description="Train phi; resume from the last checkpoint in the folder run.out.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument(
        "--set", action="append", default=[], metavar="TABLE.KEY=VALUE",
        help="override a key of the configuration (repeatable)")
    arguments = parser.parse_args()
    p = None
    try:
        config = load(arguments.config, arguments.set)
        p = processes.start(config.run.device)
        final = Training(config, p).run()
        if p.first:
            show(final)
        return 0
    except (OSError, ValueError) as error:
        say(f"phitools.train: {error}")
        return 1
    except (MemoryError, RuntimeError) as error:
        if not processes.out_of_memory(error):
            raise
        say("phitools.train: out of memory; lower batch.micro or batch.context")
        return 1
    except KeyboardInterrupt:
        say("phitools.train: interrupted; start it again to go on from the last checkpoint")
        return 130
    finally:
        if p:
            processes.stop(p)


if __name__ == "__main__":
    sys.exit(main())
