"""Text of files that other people laid into a folder."""
from __future__ import annotations

import os
import stat
from pathlib import Path

LARGEST = 1 << 24
"""Bytes of the largest file that is read, unless told otherwise."""


def read_file(path: Path, largest: int = LARGEST) -> str:
    """Return a regular file's text, without a byte order mark; ValueError says why it is left out. No symbolic link is
    followed, so nothing from outside the folder comes in, and nothing that isn't a regular file is waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise ValueError("symbolic link" if path.is_symlink() else "unreadable") from None
    with open(descriptor, "rb") as f:
        about = os.fstat(f.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("not a regular file")
        if about.st_size > largest:
            raise ValueError("large file")
        try:
            return f.read().decode("utf-8-sig")
        except (OSError, UnicodeDecodeError):
            raise ValueError("unreadable") from None
