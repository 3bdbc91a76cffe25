"""What commands print: results on standard output, faults and progress on standard error, the same way in all of them.
"""
from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable
from typing import Any

UNREAD = 141
"""The exit status when nobody reads the output any more, as a shell shows it of `phi`."""


def say(text: str) -> None:
    """Print a line on standard error; what cannot be written there is lost, and no fault of what is being done."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def show(text: str, end: str = "\n") -> None:
    """Print on standard output, and end the command where that cannot be: quietly if nobody reads it any more,
    otherwise with a line. No file is to blame then, so that this is no OSError."""
    try:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="surrogateescape")  # paths that are no UTF-8, as they are
        print(text, end=end, flush=True)
    except OSError as error:
        with contextlib.suppress(OSError):  # Python writes what is left when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise SystemExit(UNREAD) from None
        say(f"standard output: cannot be written ({error.strerror or error})")
        raise SystemExit(1) from None


def command(main: Callable[..., Any]) -> Callable[..., Any]:
    """Let a command end as `show` does also where it was argparse that printed its help."""
    @functools.wraps(main)
    def whole(*given: Any) -> Any:
        try:
            return main(*given)
        finally:
            show("", end="")
    return whole
