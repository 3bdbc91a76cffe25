"""Faults in a file's preamble, section table and layout (Formats/phi-file.md, section 1).

A library module: `make_samples.py` writes the files.
"""
from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from phitools import phi_encodings as enc
from phitools.fault_making import EXTRA, TILE, Fault, base, flipped, preamble, record, record_at, shifted, with_section
from phitools.phi_file_write import file_bytes, rehash


def header_faults() -> Iterator[Fault]:
    yield from preamble_faults()
    yield from record_faults()
    yield from layout_faults()


def preamble_faults() -> Iterator[Fault]:
    whole = bytes(file_bytes(base()))
    count = len(base())
    yield "empty", b"", "shorter than a preamble"
    yield "truncated-in-magic", whole[:5], "shorter than a preamble"
    yield "truncated-in-preamble", whole[:127], "shorter than a preamble"
    yield "truncated-after-preamble", whole[:128], "file size"
    yield "truncated-in-table", whole[: 128 + 128 * count - 1], "file size"
    yield "truncated-last-byte", whole[:-1], "file size"
    yield "wrong-magic", preamble(0, "8s", b"GGUF\r\n\x1a\n"), "magic"
    yield "text-mode-crlf-to-lf", whole.replace(b"\r\n", b"\n"), "magic"
    yield "text-mode-lf-to-crlf", whole.replace(b"\n", b"\r\n"), "magic"
    yield "text-mode-seven-bits", preamble(0, "B", 0x09), "magic"
    yield "wrong-endianness", preamble(12, "4s", b"\x01\x02\x03\x04"), "byte order"
    yield "major-version-2", preamble(8, "H", 2), "major version 2"
    yield "major-version-0", preamble(8, "H", 0), "major version 0"
    yield "file-size-too-large", preamble(16, "Q", len(whole) + 64), "file size"
    yield "file-size-too-small", preamble(16, "Q", len(whole) - 64), "file size"
    yield "file-size-near-2-64", preamble(16, "Q", 2**64 - 1), "file size"
    yield "header-size-wrong", preamble(24, "Q", 128 + 128 * (count - 1)), "header size"
    yield "header-size-near-2-64", preamble(24, "Q", 2**64 - 128), "header size"
    yield "header-hash-wrong", flipped(whole, 96), "header hash"
    yield "header-changed", flipped(whole, 128 + 96), "header hash"
    yield "preamble-reserved-nonzero", preamble(95, "B", 1), "reserved"
    no_sections = bytearray(whole[:128])
    struct.pack_into("<QQI", no_sections, 16, 128, 128, 0)
    rehash(no_sections)
    yield "section-count-zero", bytes(no_sections), "section count"
    many = bytearray(whole)
    struct.pack_into("<QI", many, 24, 128 + 128 * 60_000, 60_000)
    rehash(many)
    yield "header-longer-than-file", bytes(many), "longer than the file"


def record_faults() -> Iterator[Fault]:
    for name, raw in (
        ("upper-case", "Extra"), ("slash", "a/b"), ("not-ascii", "\xe9"), ("empty", ""), ("48-bytes", "x" * 48),
        ("bytes-after-zero", "extra\0x"),
    ):
        yield f"section-name-{name}", with_section(replace(EXTRA, name=raw)), "bad name"
    sections = [*base(), EXTRA]
    yield "duplicate-name", bytes(file_bytes([*sections, EXTRA])), "two sections are named extra"
    yield "duplicate-tensor", bytes(file_bytes([*base(), base()[2]])), "two sections are named embedding.weight"
    yield "section-flags-unknown", with_section(replace(EXTRA, flags=2)), "unknown flags"
    yield "section-empty", with_section(replace(EXTRA, data=b"")), "is empty"
    for alignment in (0, 32, 96):
        reason = f"has alignment {alignment}"
        if alignment:
            yield f"alignment-{alignment}", with_section(replace(EXTRA, alignment=alignment)), reason
        else:
            yield "alignment-zero", record("extra", "alignment", 0, sections), reason
    yield "misaligned", record("norm.bias", "alignment", 32_768), "is not aligned"
    data = file_bytes(sections)
    data[record_at(sections, "extra") + 95] = 1
    rehash(data)
    yield "record-reserved-nonzero", bytes(data), "reserved"
    yield "plain-bytes-with-rows", record("extra", "rows", 1, sections), "plain bytes with 1 rows"
    yield "plain-bytes-with-columns", record("extra", "columns", 1, sections), "plain bytes with"
    short = replace(EXTRA, data=bytes(TILE - 1), encoding=enc.Q4, rows=1, columns=1)
    yield "tensor-length-wrong", with_section(short), f"its shape gives {TILE}"
    tiles, strips = 80_478_822, 55_960_059  # 2^52 + 2 strips of 4096 bytes: 8192 modulo 2^64
    huge = replace(EXTRA, data=bytes(8192), encoding=enc.F32, rows=16 * tiles, columns=64 * strips)
    yield "rows-times-columns-overflow", with_section(huge), "its shape gives"


def layout_faults() -> Iterator[Fault]:
    yield "section-overlap", shifted("norm.bias", -64), "overlap or hole"
    yield "section-hole", shifted("norm.bias", 64), "overlap or hole"
    yield "hole-after-header", shifted("config", 64), "overlap or hole"
    whole = file_bytes(base())
    size = -(-len(whole) // 64) * 64 + 64
    longer = bytearray(whole + bytes(size - len(whole)))
    longer[16:24] = size.to_bytes(8, "little")
    rehash(longer)
    yield "bytes-after-last-section", bytes(longer), "not at the file's end"
    sections = base()
    swapped = bytearray(whole)
    a, b = record_at(sections, "norm.weight"), record_at(sections, "norm.bias")
    swapped[a : a + 128], swapped[b : b + 128] = whole[b : b + 128], whole[a : a + 128]
    rehash(swapped)
    yield "records-out-of-order", bytes(swapped), "overlap or hole"
    sections.append(EXTRA)
    yield "offset-near-2-64", record("extra", "offset", 2**64 - 64, sections), "overlap or hole"
    yield "length-near-2-64", record("extra", "length", 2**64 - 64, sections), "ends beyond the file"
    yield "length-beyond-file", record("extra", "length", len(EXTRA.data) + 1, sections), "ends beyond the file"
