"""Functions that introduce a single fault into the tiny model's file and then recompute its hashes.

A library module for `faults_of_header.py` and `faults_of_contents.py`.
"""
from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace

from phitools import phi_encodings as enc
from phitools.phi_file_write import NewSection, file_bytes, rehash
from phitools.sample_model import model, tiny_config

Fault = tuple[str, bytes, str]
"""Name and bytes of a faulty file, and a part of the Python reader's error message."""

RECORD_FIELDS = {"flags": (48, "I"), "encoding": (52, "I"), "offset": (56, "Q"), "length": (64, "Q"),
                 "alignment": (72, "I"), "rows": (76, "I"), "columns": (80, "I")}
EXTRA = NewSection("extra", b"unknown", flags=0)
TILE = 576
"""Bytes of a q4 tile of one strip, the only kind in the tiny model: 32 of scales, 32 of factors, 512 of codes."""


def base() -> list[NewSection]:
    return model(tiny_config(), enc.Q4, zero=True)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def preamble(at: int, layout: str, value: int | bytes) -> bytes:
    """Return the file with one field of the preamble changed."""
    data = file_bytes(base())
    struct.pack_into("<" + layout, data, at, value)
    rehash(data)
    return bytes(data)


def record_at(sections: Sequence[NewSection], name: str) -> int:
    return 128 + 128 * [s.name for s in sections].index(name)


def record(name: str, field: str, value: int, sections: Sequence[NewSection] | None = None) -> bytes:
    """Return the file with one field of a section's record changed."""
    sections = sections or base()
    data = file_bytes(sections)
    at, layout = RECORD_FIELDS[field]
    struct.pack_into("<" + layout, data, record_at(sections, name) + at, value)
    rehash(data)
    return bytes(data)


def with_section(section: NewSection) -> bytes:
    """Return the file with a section added, or replaced if there is one of that name."""
    sections = base()
    names = [s.name for s in sections]
    if section.name in names:
        sections[names.index(section.name)] = section
    else:
        sections.append(section)
    return bytes(file_bytes(sections))


def with_data(name: str, data: bytes) -> bytes:
    section = next(s for s in base() if s.name == name)
    return with_section(replace(section, data=data))


def patched(name: str, at: int, layout: str, value: float) -> bytes:
    """Return the file with a number in a section changed."""
    data = bytearray(next(s.data for s in base() if s.name == name))
    struct.pack_into("<" + layout, data, at, value)
    return with_data(name, bytes(data))


def shifted(name: str, by: int) -> bytes:
    """Return the file with `by` bytes inserted before a section, or removed if negative; later sections move along.

    After a removal the section overlaps the previous one.
    """
    sections = base()
    data = file_bytes(sections)
    first = record_at(sections, name)
    start = int.from_bytes(data[first + 56 : first + 64], "little")
    for at in range(first, 128 + 128 * len(sections), 128):
        offset = int.from_bytes(data[at + 56 : at + 64], "little") + by
        data[at + 56 : at + 64] = offset.to_bytes(8, "little")
    if by > 0:
        data[start:start] = bytes(by)
    else:
        del data[start : start - by]
    data[16:24] = len(data).to_bytes(8, "little")
    rehash(data)
    return bytes(data)
