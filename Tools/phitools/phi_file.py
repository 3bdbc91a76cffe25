"""An independent reader of `.phi` files, written from Formats/phi-file.md alone, for comparison with the Swift reader.

    python -m phitools.phi_file model.phi                            list the contents
    python -m phitools.phi_file model.phi --verify                   check all hashes and padding too
    python -m phitools.phi_file model.phi --tensor NAME -o out.npy   one tensor as float32 [rows, columns]
    python -m phitools.phi_file model.phi --sha256-of-tensors        name, rows, columns, hash of each tensor

The hash is the SHA-256 of the tensor's values as float32, row-major, little-endian. Needs numpy only. For an invalid
file the exit status is 1, with one line on standard error.
"""
from __future__ import annotations

import argparse
import hashlib
import json
import mmap
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phitools import phi_encodings as enc
from phitools.durable import write_file
from phitools.output import command, say, show
from phitools.phi_contents import (
    Config,
    Generation,
    Tests,
    Tokenizer,
    is_matrix,
    read_config,
    read_generation,
    read_tests,
    read_tokenizer,
    require,
)
from phitools.phi_error import PhiFileError

MAGIC = b"\x89PHI\r\n\x1a\n"
PREAMBLE = struct.Struct("<8sHHIQQI60s32s")
RECORD = struct.Struct("<48sIIQQIII12s32s")
NAME_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789._-")
PLAIN = ("config", "tokenizer", "generation", "provenance", "tests")
PIECE_BYTES = 8 << 20


@dataclass(frozen=True)
class Section:
    name: str
    required: bool
    encoding: int
    offset: int
    length: int
    alignment: int
    rows: int
    columns: int
    hash: bytes

    @property
    def end(self) -> int:
        return self.offset + self.length

    @property
    def is_tensor(self) -> bool:
        return self.encoding in enc.NAMES and self.encoding != enc.BYTES


def round_up(n: int, step: int) -> int:
    return -(-n // step) * step


class PhiFile:
    """An open file: its contents, `sections` by name and `minor` version."""

    config: Config
    tokenizer: Tokenizer
    generation: Generation

    def __init__(self, path: str | Path) -> None:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            require(size >= PREAMBLE.size, f"{size} bytes, shorter than a preamble")
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        count = self._read_preamble()
        self.sections = self._read_table(count)
        self._read_contents()

    def _read_preamble(self) -> int:
        """Check the preamble and the header's hash; return the number of sections."""
        fields = PREAMBLE.unpack_from(self.data)
        magic, major, self.minor, order, file_size, header_size, count, reserved, digest = fields
        require(magic == MAGIC, "wrong magic: not a .phi file, or changed by a text-mode transfer")
        require(order == 0x01020304, f"wrong byte order: {order:#010x}")
        require(major == 1, f"major version {major}, this reader knows 1")
        require(file_size == len(self.data), f"file size is {len(self.data)}, the header says {file_size}")
        require(1 <= count <= 65_536, f"section count is {count}, not 1 to 65536")
        require(header_size == 128 + 128 * count, f"header size is {header_size}, not that of {count} sections")
        require(header_size <= file_size, "the header is longer than the file")
        header = bytearray(self.data[:header_size])
        header[96:128] = bytes(32)
        require(hashlib.sha256(header).digest() == digest, "header hash does not match")
        require(reserved == bytes(60), "preamble: reserved bytes are not zero")
        return count

    def _read_table(self, count: int) -> dict[str, Section]:
        sections: dict[str, Section] = {}
        end = 128 + 128 * count
        for i in range(count):
            section = read_record(self.data[128 + 128 * i : 256 + 128 * i], i)
            name, offset = section.name, section.offset
            require(name not in sections, f"two sections are named {name}")
            require(offset == round_up(end, section.alignment),
                    f"section {name} starts at {offset}, not {round_up(end, section.alignment)}: overlap or hole")
            require(section.end <= len(self.data), f"section {name} ends beyond the file")
            end = section.end
            sections[name] = section
        require(end == len(self.data), f"the last section ends at {end}, not at the file's end")
        return sections

    def _read_contents(self) -> None:
        self.config = read_config(self._plain("config"))
        shapes = self.config.tensors()
        known = {*shapes, *PLAIN}
        for section in self.sections.values():
            require(section.name in known or not section.required, f"unknown required section {section.name}")
        for name, shape in shapes.items():
            self._check_tensor(name, shape)
        self.tokenizer = read_tokenizer(self._plain("tokenizer"))
        require(len(self.tokenizer.tokens) == self.config.vocabulary,
                f"tokenizer has {len(self.tokenizer.tokens)} tokens, config says {self.config.vocabulary}")
        end = self.config.end_of_text
        self.generation = (read_generation(self._plain("generation"), self.config) if "generation" in self.sections
                           else Generation(end, [end]))

    @property
    def tests(self) -> Tests | None:
        """The encodings and logits that `phi verify` reproduces, or None."""
        return read_tests(self._plain("tests"), self.config) if self._has("tests") else None

    @property
    def provenance(self) -> dict[str, object] | None:
        """The origin of the file, or None."""
        return read_provenance(self._plain("provenance")) if self._has("provenance") else None

    def _has(self, name: str) -> bool:
        """Return whether an optional section exists in an encoding known to this reader."""
        return name in self.sections and self.sections[name].encoding in enc.NAMES

    def _section(self, name: str) -> Section:
        require(name in self.sections, f"missing section {name}")
        section = self.sections[name]
        require(section.encoding not in enc.RETIRED, f"section {name} has an encoding that is no longer read, "
                f"{section.encoding}: convert the checkpoint again")
        require(section.encoding in enc.NAMES, f"section {name} has the unknown encoding {section.encoding}")
        return section

    def _plain(self, name: str) -> bytes:
        section = self._section(name)
        require(section.encoding == enc.BYTES, f"section {name} is not of plain bytes")
        return self.data[section.offset : section.end]

    def _check_tensor(self, name: str, shape: tuple[int, int]) -> None:
        section = self._section(name)
        kinds = enc.STRIP_BYTES if is_matrix(name) else (enc.VECTOR,)
        require(section.encoding in kinds, f"section {name} has the wrong encoding {section.encoding}")
        given = (section.rows, section.columns)
        require(given == shape, f"section {name} has the wrong shape {given}, not {shape}")

    def _tiles(self, section: Section) -> Iterator[tuple[int, enc.Tiles]]:
        """Yield a matrix a few megabytes at a time: index of the first row, and tiles."""
        strips = -(-section.columns // enc.STRIP_COLUMNS)
        tile = enc.tile_bytes(section.encoding, strips)
        step = max(1, PIECE_BYTES // tile) * tile
        for start in range(0, section.length, step):
            count = min(step, section.length - start)
            raw = np.frombuffer(self.data, np.uint8, count, section.offset + start)
            yield start // tile * enc.TILE_ROWS, enc.unpack(raw, section.encoding, strips)

    def pieces(self, name: str) -> Iterator[np.ndarray]:
        """Yield a tensor's values in row order as float32 [some rows, columns]."""
        section = self.sections[name]
        if section.encoding == enc.VECTOR:
            yield np.frombuffer(self.data, "<f4", section.rows, section.offset).reshape(-1, 1)
            return
        for row, tiles in self._tiles(section):
            yield np.ascontiguousarray(tiles.values[: section.rows - row, : section.columns])

    def tensor(self, name: str) -> np.ndarray:
        """Return a tensor as float32 [rows, columns]."""
        if name not in self.sections or not self.sections[name].is_tensor:
            raise PhiFileError(f"no tensor is named {name}")
        return np.concatenate(list(self.pieces(name)))

    def tensor_hashes(self) -> Iterator[str]:
        """Yield name, rows, columns and SHA-256 of the float32 values of each tensor, in file order."""
        for section in self.sections.values():
            if section.is_tensor:
                digest = hashlib.sha256()
                for values in self.pieces(section.name):
                    digest.update(values.astype("<f4", copy=False))
                yield f"{section.name} {section.rows} {section.columns} {digest.hexdigest()}"

    def verify(self) -> None:
        """Check what opening does not: optional sections, all hashes, zero bytes between sections, and tiles."""
        _ = self.tests, self.provenance
        end = 128 + 128 * len(self.sections)
        for section in self.sections.values():
            require(not any(self.data[end : section.offset]), f"bytes before section {section.name} are not zero")
            end = section.end
            digest = hashlib.sha256()
            for start in range(section.offset, end, PIECE_BYTES):
                digest.update(self.data[start : min(end, start + PIECE_BYTES)])
            require(digest.digest() == section.hash, f"section {section.name} does not match its hash")
            if section.encoding in enc.STRIP_BYTES:
                for row, tiles in self._tiles(section):
                    check_padding(section, row, tiles)


def read_record(record: bytes, index: int) -> Section:
    """Parse a record of the section table and check the rules that concern it alone."""
    raw, flags, encoding, offset, length, alignment, rows, columns, reserved, digest = RECORD.unpack(record)
    plain = raw.rstrip(b"\0")
    require(1 <= len(plain) <= 47 and NAME_BYTES.issuperset(plain), f"section {index} has a bad name")
    name = plain.decode("ascii")
    require(flags in (0, 1), f"section {name} has unknown flags {flags:#x}")
    require(length >= 1, f"section {name} is empty")
    require(64 <= alignment <= 65_536 and alignment & (alignment - 1) == 0, f"section {name} has alignment {alignment}")
    require(offset % alignment == 0, f"section {name} at {offset} is not aligned to {alignment}")
    require(reserved == bytes(12), f"section {name}: reserved bytes are not zero")
    if encoding == enc.BYTES:
        require(rows == 0 and columns == 0, f"section {name} is plain bytes with {rows} rows and {columns} columns")
    elif encoding in enc.NAMES:
        wanted = enc.tensor_bytes(encoding, rows, columns)
        require(length == wanted, f"section {name} has {length} bytes, its shape gives {wanted}")
    return Section(name, flags == 1, encoding, offset, length, alignment, rows, columns, digest)


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no number of JSON")


def read_provenance(data: bytes) -> dict[str, object]:
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_members, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # no half of a surrogate pair
    except (ValueError, RecursionError):
        raise PhiFileError("provenance is not JSON in UTF-8") from None
    require(isinstance(value, dict), "provenance is not a JSON object")
    return value


def check_padding(section: Section, row: int, tiles: enc.Tiles) -> None:
    """Refuse nonzero padding and the codes, factors and scales forbidden by section 3."""
    name, rows, columns = section.name, section.rows - row, section.columns
    require(not tiles.bits[rows:].any() and not tiles.bits[:, columns:].any(), f"{name}: padding is not zero")
    if tiles.scales is not None:
        require(not tiles.scales.view(np.uint16)[rows:].any(), f"{name}: a padding scale is not zero")
        require(bool(np.isfinite(tiles.scales).all()), f"{name}: a scale is not finite")
    if tiles.factors is not None:
        groups = -(-columns // enc.GROUP_COLUMNS)
        require(not tiles.factors[rows:].any() and not tiles.factors[:, groups:].any(),
                f"{name}: a padding factor is not zero")
    if section.encoding == enc.Q8:
        require(bool(tiles.bits[:rows, :columns].all()), f"{name}: a q8 code is 0")


def describe(phi: PhiFile) -> Iterator[str]:
    yield f"version 1.{phi.minor}, {len(phi.data)} bytes"
    yield str(phi.config)
    t = phi.tokenizer
    yield f"tokenizer: {len(t.tokens)} tokens, {len(t.merges)} merges, {len(t.added)} added"
    for s in phi.sections.values():
        kind = enc.NAMES.get(s.encoding, f"encoding {s.encoding}")
        shape = f" {s.rows} x {s.columns}" if s.rows else ""
        yield f"{s.offset:>12} {s.length:>12} {s.name}: {kind}{shape}{'' if s.required else ', optional'}"


@command
def main() -> int:
    parser = argparse.ArgumentParser(prog="phitools.phi_file", description="Read and check a .phi file.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--verify", action="store_true", help="check section hashes and padding too")
    parser.add_argument("--tensor", metavar="NAME", help="write this tensor to the file given by -o")
    parser.add_argument("-o", dest="out", type=Path, metavar="out.npy")
    parser.add_argument("--sha256-of-tensors", action="store_true")
    arguments = parser.parse_args()
    if (arguments.tensor is None) != (arguments.out is None):
        parser.error("--tensor and -o require each other")
    try:
        phi = PhiFile(arguments.path)
        if arguments.verify:
            phi.verify()
        if arguments.tensor:
            out = arguments.out if arguments.out.suffix == ".npy" else Path(f"{arguments.out}.npy")
            tensor = phi.tensor(arguments.tensor)
            write_file(out, lambda fresh: np.save(fresh, tensor))
        elif arguments.sha256_of_tensors:
            for line in phi.tensor_hashes():
                show(line)
        else:
            for line in describe(phi):
                show(line)
    except OSError as error:
        say(f"{error.filename or arguments.path}: {error.strerror}")
        return 1
    except PhiFileError as error:
        say(f"{arguments.path}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
