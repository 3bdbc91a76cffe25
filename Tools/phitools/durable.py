"""Files and folders that appear only when complete: written beside their final place, synced, then renamed."""
from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""The numbers of errors that say that there is no room: a full disk, a quota, a limit of a file's size."""


def sync(path: Path) -> None:
    """Flush a file or folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Replace a file atomically."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with open(fresh, "w", encoding="utf-8") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    sync(path.parent)


def write_file(path: Path, fill: Callable[[Path], None]) -> None:
    """Replace a file by what `fill` writes to another of the same ending beside it. Of a symbolic link the file to
    which it leads is meant; what is no file, such as a pipe, is written as it is."""
    if path.is_symlink():
        path = path.resolve()
    if path.exists() and not path.is_file():
        fill(path)
        return
    fresh = path.with_name(f".{path.stem}.{os.getpid()}.new{path.suffix}")
    try:
        fill(fresh)
        sync(fresh)
        os.replace(fresh, path)
    except OSError as error:
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from None
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink()
    sync(path.parent)


def fresh_name(target: Path) -> Path:
    """Return the folder in which `write_folder` makes another."""
    return target.with_name(f".{target.name}.new")


def check_free(target: Path, step: str) -> None:
    """Raise ValueError for a folder that holds anything but what the same step, by its manifest, has made."""
    if not target.exists() or target.is_dir() and not any(target.iterdir()):
        return
    try:
        found = json.loads((target / "manifest.json").read_text(encoding="utf-8"))["step"]
    except (OSError, ValueError, KeyError, TypeError):
        found = ""
    if found != step:
        raise ValueError(f"{target}: is there already and would be replaced; choose another folder")


def write_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """Create a folder with everything that `fill` writes into it; one of the same name is replaced. Of a symbolic link
    the folder to which it leads is meant."""
    if target.is_symlink() or not target.name:
        target = target.resolve()
    fresh, old = fresh_name(target), target.with_name(f".{target.name}.old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        fresh.mkdir()
        fill(fresh)
        for path in sorted(fresh.rglob("*")):
            sync(path)
        sync(fresh)
        if target.exists():
            os.rename(target, old)
        os.rename(fresh, target)
        sync(target.parent)
    except OSError as error:
        if error.filename is None:  # as for a full disk: what was being written tells where
            raise OSError(f"{target}: cannot be written ({error.strerror or error})") from None
        raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made if it is missing; ValueError if another process holds it. Where the file system has
    no locks, none is taken."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{folder}: another process is using this folder") from None
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)


def lock(path: Path) -> IO[str]:
    """Hold a lock file until the returned file is closed or the process ends; ValueError if another process holds
    it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    f = open(path, "a", encoding="utf-8")  # a file of that name that is something else's stays as it is
    try:
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        f.close()
        raise ValueError(f"{path.parent}: another process is using this folder") from None
    return f
