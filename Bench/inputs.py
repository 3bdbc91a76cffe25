"""What the scripts here have in common: their options are checked before anything is made or measured, and what is
wrong is one line on standard error.

A fault in a number ends the program with 2, as argparse does; one in a file, found by the type of an option or later,
with 1 (`one_line`).
"""
from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "Tools"))
from phitools import durable  # noqa: E402
from phitools.program import program  # noqa: E402


class WrongFile(OSError):
    """A file or folder that is not what an option wants. Of the type of an option a ValueError would lose its words."""


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; --help lists the options\n")


def said(error: BaseException) -> str:
    """Return an error's message in one line."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def one_line(name: str, *kinds: type[Exception], interrupted: str = "interrupted") -> Iterator[None]:
    """End the program with a line that begins with its name, for wrong input or errors of the given kinds."""
    status = 1
    try:
        yield
        return
    except ModuleNotFoundError as error:
        line = f"needs the package {error.name}, which {sys.executable} lacks; Bench/README.md names the requirements"
    except (OSError, ValueError, *kinds) as error:
        line = said(error)
    except KeyboardInterrupt:
        line, status = interrupted, 130
    print(f"{name}: {line}", file=sys.stderr, flush=True)
    sys.exit(status)


def at_least(least: float, kind: type = int) -> Callable[[str], float]:
    """Return the type of an option that is a whole number, or of kind `float` any finite one, and not below `least`."""
    def read(text: str) -> float:
        try:
            number = kind(text)
            if least <= number < math.inf:
                return number
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(
            f"{text!r} is to be a {'whole ' if kind is int else ''}number of {least} or more")

    return read


def file(wanted: str, magic: bytes = b"") -> Callable[[str], Path]:
    """Return the type of an option that is a readable file and begins with `magic`; `wanted` says what to give."""
    def read(text: str) -> Path:
        path = Path(text)
        if not path.is_file():
            raise WrongFile(f"{text}: {'is not a' if path.exists() else 'no such'} file; give {wanted}")
        with path.open("rb") as opened:
            if opened.read(len(magic)) != magic:
                raise WrongFile(f"{text}: is a file of another kind; give {wanted}")
        return path

    return read


phi_file = file("a .phi file, which `phi convert` writes", b"\x89PHI\r\n\x1a\n")
gguf_file = file("a GGUF file, which `phi export` writes", b"GGUF")


def runnable(wanted: str) -> Callable[[str], Path]:
    """Return the type of an option that is a program; `wanted` says which, or what makes it."""
    def read(text: str) -> Path:
        path = program(text)
        if not path.is_file():
            raise WrongFile(f"{text}: no such program; {wanted}")
        if not os.access(path, os.X_OK):
            raise WrongFile(f"{text}: is not a program that can be run; {wanted}")
        return path

    return read


def folder(text: str) -> Path:
    """The type of an option that is a folder."""
    path = Path(text)
    if not path.is_dir():
        raise WrongFile(f"{text}: {'is not a' if path.exists() else 'no such'} folder; give one that is there")
    return path


def new_folder(text: str) -> Path:
    """The type of an option that is a folder, which need not be there yet; none is made."""
    path = Path(text)
    there = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
    if not there.is_dir():
        raise WrongFile(f"{text}: {there} is not a folder; give another one")
    if not os.access(there, os.W_OK):
        raise WrongFile(f"{text}: {there} cannot be written; give another folder")
    return path


def output(text: str) -> Path:
    """The type of an option that is a file to write."""
    path = Path(text)
    if path.is_dir():
        raise WrongFile(f"{text}: is a folder; give a file to write")
    if not path.parent.is_dir():
        raise WrongFile(f"{text}: no folder {path.parent}; make it first, or give another file")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise WrongFile(f"{text}: cannot be written; give another file")
    return path


def checkpoint(text: str) -> Path:
    """The type of an option that is a phi in Hugging Face's layout: a folder here, never a name to download."""
    path, wanted = Path(text), "give the folder of a phi in Hugging Face's layout"
    if not path.is_dir():
        raise WrongFile(f"{text}: {'is not a' if path.exists() else 'no such'} folder; {wanted}")
    if not (path / "config.json").is_file():
        raise WrongFile(f"{text}: has no config.json; {wanted}")
    try:
        kind = json.loads(read_text(path / "config.json")).get("model_type", "phi")
    except (ValueError, AttributeError, RecursionError):
        raise WrongFile(f"{path / 'config.json'}: is not a model's configuration in JSON; {wanted}") from None
    if kind != "phi":
        raise WrongFile(f"{text}: is of the type {kind}, not phi; {wanted}")
    if not any(next(path.glob(pattern), None) for pattern in ("*.safetensors", "pytorch_model*.bin")):
        raise WrongFile(f"{text}: has no weights (*.safetensors or pytorch_model*.bin); {wanted}")
    return path


def read_text(path: Path) -> str:
    """Return a file's text; ValueError that names the file if it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not a text in UTF-8; give another file") from None


def write_text(path: Path, text: str) -> None:
    """Replace a file by a complete one; of a symbolic link the file to which it leads is meant. Into a device or a pipe
    the text is written as it is."""
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
        else:
            durable.write_text(path.resolve(), text)
    except OSError as error:
        raise OSError(f"{path}: cannot be written ({error.strerror or error})") from None


def tool(name: str, wanted: str) -> str:
    """Return the path of a program by its path or by its name in PATH."""
    found = shutil.which(name) if name else None
    if not found:
        raise FileNotFoundError(f"{name or 'a program'}: no such program; {wanted}")
    return found
