"""Paths of programs on command lines."""
from pathlib import Path


def program(text: str) -> Path:
    """Return an absolute path: `Path("./phi")` is `phi`, which subprocess would look for in PATH."""
    return Path(text).absolute()
