"""Values on command lines."""
from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def program(text: str) -> Path:
    """Return an absolute path: `Path("./phi")` is `phi`, which subprocess would look for in PATH."""
    return Path(text).absolute()


def number(kind: type, least: float, most: float = float("inf")) -> Any:
    """Return argparse's type of a number within limits."""
    def read_number(text: str) -> Any:
        value = kind(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f"{text} is to be {least} or more" + (f", at most {most}" if most < float("inf") else ""))
        return value
    read_number.__name__ = kind.__name__
    return read_number
