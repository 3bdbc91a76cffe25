"""Write the sample files of the `.phi` specification: Formats/good and Formats/refused.

    python -m phitools.make_samples [-o Formats]

Readers must accept every file of `good`; NAME.tensors.txt is the output of `phi_file --sha256-of-tensors` for NAME.phi.
Readers must refuse every file of `refused` on opening, for the fault in its name; those named `verify-...` can be
opened, but must fail verification. The output is deterministic; other .phi files in these folders are removed.
"""
from __future__ import annotations

import argparse
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from phitools import phi_encodings as enc
from phitools.fault_making import Fault
from phitools.faults_of_contents import content_faults
from phitools.faults_of_header import header_faults
from phitools.output import say
from phitools.phi_file import PhiFile
from phitools.phi_file_write import NewSection, file_bytes, tokenizer_bytes
from phitools.sample_model import (
    ADDED,
    END_OF_TEXT,
    MERGES,
    THE,
    THREE_SPACES,
    TOKENS,
    TWO_SPACES,
    model,
    tiny_config,
)

FORMATS = Path(__file__).resolve().parents[2] / "Formats"


def good() -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each file that readers must accept."""
    plain = tiny_config()
    yield "q3", file_bytes(model(plain, enc.Q3), minor=3)
    yield "q4", file_bytes(model(plain, enc.Q4))
    yield "q8", file_bytes(model(tiny_config(hidden=24, intermediate=40, heads=3, kv_heads=3), enc.Q8))
    yield "f16", file_bytes(model(plain, enc.F16))
    yield "f32", file_bytes(model(plain, enc.F32))
    grouped = tiny_config(hidden=48, intermediate=36, layers=2, heads=6, kv_heads=2)
    yield "grouped-query", file_bytes(model(grouped, enc.Q4))
    mixed = {"": enc.Q4, "head.weight": enc.Q8, "block.0.in.weight": enc.F32, "block.0.out.weight": enc.F16}
    yield "mixed-encodings", file_bytes(model(plain, mixed))
    # A row of embedding, head and input projection is a block and a short one of two strips; of the output projection,
    # a block and a short one of one strip.
    wide = tiny_config(hidden=328, intermediate=260)
    yield "wide-blocks", file_bytes(model(wide, {"": enc.Q4, "head.weight": enc.Q8}))
    wide_q3 = {"": enc.Q3, "embedding.weight": enc.Q4, "head.weight": enc.Q8}
    yield "wide-blocks-q3", file_bytes(model(wide, wide_q3), minor=3)
    no_tests = model(plain, enc.Q4)[:-1]
    provenance = NewSection("provenance", '{"licence": "MIT", "note": "tiny é"}'.encode(), flags=0)
    yield "provenance-without-tests", file_bytes([*no_tests, provenance])
    ends = NewSection("generation", struct.pack("<2I3I", END_OF_TEXT, 3, END_OF_TEXT, THE, ord("#")), flags=0)
    yield "three-ends-of-text", file_bytes([*no_tests[:2], ends, *no_tests[2:]], minor=2)
    yield from tokenizers()
    yield "minor-version-7", file_bytes(no_tests, minor=7)
    later = NewSection("adapter.x-1", b"from a later version", flags=0)
    tensor = NewSection("adapter.weight", bytes(range(100)), encoding=77, rows=5, columns=9, flags=0)
    yield "unknown-optional-sections", file_bytes([no_tests[0], later, *no_tests[1:], tensor], minor=2)
    yield "sections-in-another-order", file_bytes(no_tests[::-1])
    no_tests[4].alignment = 4096
    yield "wider-alignment", file_bytes(no_tests)


def tokenizers() -> Iterator[tuple[str, bytes]]:
    """Yield files whose tokenizers need version 1.2."""
    more = len(TOKENS)
    passes = tokenizer_bytes([*TOKENS, b"  #"], MERGES, {END_OF_TEXT: 1, THREE_SPACES: 2, TWO_SPACES: 2, more: 1})
    texts = [("a    #", [ord("a"), TWO_SPACES, more]), ("a     ", [ord("a"), THREE_SPACES, TWO_SPACES])]
    config = tiny_config(vocabulary=more + 1)
    yield "two-passes-of-added-tokens", file_bytes(model(config, enc.Q4, tokenizer=passes, texts=texts), minor=2)
    # "q" has no token, and that of "x" is an added token.
    tokens = [b"qq" if token == b"q" else token for token in TOKENS]
    for name, unknown, ids in (
        ("byte-without-token", None, [THE]), ("unknown-token", ord("?"), [ord("t"), ord("?"), ord("h"), ord("e")])
    ):
        made = tokenizer_bytes(tokens, MERGES, {**ADDED, ord("x"): 1}, unknown)
        texts = [("tqhe", ids), ("the x", [THE, ord(" "), ord("x")])]
        yield name, file_bytes(model(tiny_config(), enc.Q4, tokenizer=made, texts=texts), minor=2)


def refused() -> Iterator[Fault]:
    """Yield each file that readers must refuse."""
    yield from header_faults()
    yield from content_faults()


def write(folder: Path) -> None:
    for name in ("good", "refused"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for old in [*(folder / name).glob("*.phi"), *(folder / name).glob("*.tensors.txt")]:
            old.unlink()
    for name, data in good():
        path = folder / "good" / f"{name}.phi"
        path.write_bytes(data)
        lines = "".join(f"{line}\n" for line in PhiFile(path).tensor_hashes())
        path.with_suffix(".tensors.txt").write_text(lines)
    for name, data, _ in refused():
        (folder / "refused" / f"{name}.phi").write_bytes(data)


def main() -> int:
    parser = argparse.ArgumentParser(prog="phitools.make_samples", description="Write the sample .phi files.")
    parser.add_argument("-o", dest="folder", type=Path, default=FORMATS)
    folder = parser.parse_args().folder
    write(folder)
    for name in ("good", "refused"):
        sizes = [path.stat().st_size for path in (folder / name).glob("*.phi")]
        say(f"{folder / name}: {len(sizes)} files, {sum(sizes):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
