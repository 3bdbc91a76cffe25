"""Faults in a file's sections (Formats/phi-file.md, sections 2 and 3).

A library module: `make_samples.py` writes the files.
"""
from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from phitools import phi_encodings as enc
from phitools.fault_making import EXTRA, TILE, Fault, base, flipped, patched, record, record_at, with_data, with_section
from phitools.phi_file_write import NewSection, file_bytes, tests_bytes, tokenizer_bytes
from phitools.sample_model import (
    ADDED,
    END_OF_TEXT,
    MERGES,
    SPACE_A,
    TH,
    THE,
    THREE_SPACES,
    TOKENS,
    TWO_SPACES,
    model,
    tiny_config,
)

CONFIG_FIELDS = ("hidden", "intermediate", "layers", "heads", "kv_heads", "head_size", "rotary_dimensions", "context",
                 "vocabulary", "end_of_text", "rotary_base", "layer_norm_epsilon")


def content_faults() -> Iterator[Fault]:
    yield from section_faults()
    yield from config_faults()
    yield from tokenizer_faults()
    yield from generation_faults()
    yield from tests_faults()
    yield from verify_faults()


def section_faults() -> Iterator[Fault]:
    yield "unknown-required-section", with_section(replace(EXTRA, flags=1)), "unknown required section extra"
    late = replace(base()[3], name="block.1.norm.weight")
    yield "block-beyond-layers", with_section(late), "unknown required section block.1.norm.weight"
    yield "unknown-encoding", record("embedding.weight", "encoding", 99), "unknown encoding 99"
    yield "retired-encoding-19", record("embedding.weight", "encoding", 19), "no longer read"
    for section in base():
        if section.flags:
            others = [s for s in base() if s.name != section.name]
            yield f"missing-{section.name}", bytes(file_bytes(others)), f"missing section {section.name}"
    by_name = {s.name: s for s in base()}
    norm, projection, embedding = by_name["norm.weight"], by_name["block.0.in.weight"], by_name["embedding.weight"]
    tiled = replace(norm, data=bytes(TILE), encoding=enc.Q4)
    yield "encoding-of-norm", with_section(tiled), "wrong encoding"
    flat = replace(projection, data=bytes(4 * 64), encoding=enc.VECTOR)
    yield "encoding-of-matrix", with_section(flat), "wrong encoding"
    config = replace(by_name["config"], encoding=enc.VECTOR, rows=16, columns=1)
    yield "encoding-of-config", with_section(config), "not of plain bytes"
    transposed = replace(projection, rows=16, columns=64, data=bytes(TILE))
    yield "shape-transposed", with_section(transposed), "wrong shape"
    yield "shape-row-too-many", with_section(replace(embedding, rows=embedding.rows + 1)), "wrong shape"
    yield "shape-column-too-few", with_section(replace(embedding, columns=15)), "wrong shape"
    yield "shape-bias-too-short", with_section(replace(norm, data=norm.data[:-4], rows=15)), "wrong shape"
    yield "shape-vector-of-two-columns", with_section(replace(norm, columns=2)), "wrong shape"


def config_faults() -> Iterator[Fault]:
    for field, name, value, words in (
        ("hidden", "hidden-size-zero", 0, "hidden size is 0"),
        ("hidden", "hidden-size-too-large", 65_537, "hidden size is 65537"),
        ("intermediate", "intermediate-size-zero", 0, "intermediate size is 0"),
        ("intermediate", "intermediate-size-too-large", 262_145, "intermediate size is 262145"),
        ("layers", "layers-zero", 0, "layers is 0"),
        ("layers", "layers-too-many", 1025, "layers is 1025"),
        ("heads", "heads-zero", 0, "heads is 0"),
        ("heads", "heads-too-many", 1026, "heads is 1026"),
        ("kv_heads", "kv-heads-zero", 0, "kv heads is 0"),
        ("kv_heads", "kv-heads-more-than-heads", 4, "kv heads is 4"),
        ("head_size", "head-size-zero", 0, "head size is 0"),
        ("head_size", "head-size-too-large", 1025, "head size is 1025"),
        ("rotary_dimensions", "rotary-odd", 3, "odd"),
        ("rotary_dimensions", "rotary-more-than-head", 10, "rotary dimensions is 10"),
        ("context", "context-zero", 0, "context is 0"),
        ("context", "context-too-large", 1_048_577, "context is 1048577"),
        ("vocabulary", "vocabulary-zero", 0, "vocabulary is 0"),
        ("vocabulary", "vocabulary-too-large", 1_048_577, "vocabulary is 1048577"),
        ("end_of_text", "end-of-text-beyond-vocabulary", len(TOKENS), "end-of-text id"),
        ("rotary_base", "rotary-base-zero", 0.0, "rotary base is 0.0"),
        ("rotary_base", "rotary-base-near-zero", 1e-20, "rotary base is "),
        ("rotary_base", "rotary-base-infinite", float("inf"), "rotary base is inf"),
        ("layer_norm_epsilon", "epsilon-negative", -1e-5, "epsilon is -"),
        ("layer_norm_epsilon", "epsilon-nan", float("nan"), "epsilon is nan"),
    ):
        at = 4 * CONFIG_FIELDS.index(field)
        yield f"config-{name}", patched("config", at, "f" if isinstance(value, float) else "I", value), words
    data = bytearray(base()[0].data)
    struct.pack_into("<III", data, 12, 3, 2, 8)
    yield "config-kv-heads-do-not-divide", with_data("config", bytes(data)), "do not divide"
    struct.pack_into("<III", data, 12, 1024, 1, 65)
    yield "config-heads-times-head-size-too-large", with_data("config", bytes(data)), "heads x head size"
    yield "config-reserved-nonzero", patched("config", 63, "B", 1), "reserved"
    yield "config-too-short", with_data("config", base()[0].data[:60]), "not 64"
    yield "config-too-long", with_data("config", base()[0].data + bytes(4)), "not 64"


def tokenizer_faults() -> Iterator[Fault]:
    t, m = len(TOKENS), len(MERGES)
    merges_at = 32 + 4 * (t + 1)
    added_at = merges_at + 12 * m
    good = tokenizer_bytes(TOKENS, MERGES, ADDED)

    def changed(name: str, at: int, value: int, words: str) -> Fault:
        return f"tokenizer-{name}", patched("tokenizer", at, "I", value), words

    def rebuilt(
        name: str, words: str, tokens: Callable[[list[bytes]], object] | None = None,
        merges: Sequence[tuple[int, int, int]] = MERGES, added: dict[int, bool] | None = None,
    ) -> Fault:
        made = list(TOKENS)
        if tokens:
            tokens(made)
        return f"tokenizer-{name}", with_data("tokenizer", tokenizer_bytes(made, merges, added or ADDED)), words

    yield "tokenizer-too-short", with_data("tokenizer", good[:31]), "fewer than 32"
    yield "tokenizer-byte-missing-at-end", with_data("tokenizer", good[:-1]), "its counts give"
    yield "tokenizer-byte-left-over", with_data("tokenizer", good + b"\0"), "its counts give"
    yield changed("kind", 0, 2, "kind 2")
    yield changed("token-count-overflow", 4, t + 2**30, "its counts give")
    yield changed("merge-count-overflow", 8, m + 2**30, "its counts give")
    yield changed("added-count-overflow", 12, len(ADDED) + 2**29, "its counts give")
    yield changed("reserved-nonzero", 28, 1, "reserved")
    yield changed("unknown-beyond-tokens", 20, t + 1, "the unknown token has an id")
    yield changed("unknown-though-all-bytes", 20, END_OF_TEXT + 1, "every byte has a token")
    yield changed("added-flags", added_at + 4, 4, "unknown flags")
    yield changed("first-start-not-zero", 32, 1, "do not run from 0")
    yield changed("last-start-before-end", 32 + 4 * t, len(b"".join(TOKENS)) - 1, "do not run from 0")
    yield changed("start-falls", 32 + 4 * (t - 1), 2**31, "starts decrease")
    yield changed("merge-left-beyond-tokens", merges_at, t, "a merge has a token id")
    yield changed("merge-right-beyond-tokens", merges_at + 4, t, "a merge has a token id")
    yield changed("merge-result-beyond-tokens", merges_at + 8, 2**32 - 1, "a merge has a token id")
    yield changed("added-beyond-tokens", added_at, t, "an added token has an id")
    yield changed("merge-result-has-other-bytes", merges_at + 8, SPACE_A, "does not result in the bytes")
    yield rebuilt("pair-merged-twice", "duplicate pair", merges=[*MERGES, MERGES[0]])
    yield changed("added-id-twice", added_at + 8, END_OF_TEXT, "added twice")
    yield rebuilt("added-bytes-twice", "the same bytes", tokens=lambda made: made.__setitem__(TWO_SPACES, b"   "))
    yield rebuilt("added-empty", "is empty", tokens=lambda made: made.__setitem__(THREE_SPACES, b""))
    yield rebuilt("added-long", "longer than 1024", tokens=lambda made: made.__setitem__(THREE_SPACES, b" " * 1025))
    yield rebuilt("count-not-vocabulary", "tokens, config says", tokens=lambda made: made.append(b"zz"))


def generation_faults() -> Iterator[Fault]:
    size = len(TOKENS)
    for name, words, fault in (
        ("no-end", [END_OF_TEXT, 0], "0 ends of text"),
        ("too-many-ends", [END_OF_TEXT, 257, *range(257)], "257 ends of text"),
        ("too-short", [END_OF_TEXT], "fewer than 8"),
        ("end-missing", [END_OF_TEXT, 2, END_OF_TEXT], "that its count gives"),
        ("bytes-left-over", [END_OF_TEXT, 1, END_OF_TEXT, 0], "that its count gives"),
        ("end-beyond-vocabulary", [END_OF_TEXT, 2, END_OF_TEXT, size], "outside the vocabulary"),
        ("start-beyond-vocabulary", [size, 1, END_OF_TEXT], "outside the vocabulary"),
        ("end-twice", [END_OF_TEXT, 3, END_OF_TEXT, THE, THE], "stands twice"),
        ("first-end-not-the-configs", [END_OF_TEXT, 2, THE, END_OF_TEXT], "the first end is"),
    ):
        data = struct.pack(f"<{len(words)}I", *words)
        yield f"generation-{name}", with_section(NewSection("generation", data, flags=0)), fault
    tensor = NewSection("generation", bytes(4), encoding=enc.VECTOR, rows=1, columns=1, flags=0)
    yield "encoding-of-generation", with_section(tensor), "not of plain bytes"


def tests_faults() -> Iterator[Fault]:
    text = b"the"

    def made(name: str, data: bytes, words: str) -> Fault:
        return f"verify-tests-{name}", with_data("tests", data), words

    def numbers(*values: int) -> bytes:
        return struct.pack(f"<{len(values)}I", *values)

    good = tests_bytes([(text, [THE])])
    yield made("too-short", b"\0\0", "ends early")
    yield made("truncated", good[:-1], "ends early")
    yield made("byte-left-over", good + b"\0", "left over")
    yield made("too-many-texts", tests_bytes([(b"", [])] * 1025), "1025 texts")
    yield made("text-longer-than-section", numbers(1, 2**32 - 1, 0) + bytes(16), "ends early")
    yield made("id-count-overflow", numbers(1, 0, 2**30) + bytes(16), "ends early")
    yield made("text-not-utf8", tests_bytes([(b"\xff", [255])]), "not UTF-8")
    yield made("id-beyond-vocabulary", tests_bytes([(text, [len(TOKENS)])]), "id outside the vocabulary")
    yield made("prompt-longer-than-context", tests_bytes([], [TH] * 33, 1.0), "longer than the context")
    yield made("prompt-id-beyond-vocabulary", tests_bytes([], [len(TOKENS)], 1.0), "id outside the vocabulary")
    yield made("logit-count-overflow", numbers(0, 0, 0, 2**29), "ends early")
    yield made("logit-id-beyond-vocabulary", tests_bytes([], [TH], 1.0, {len(TOKENS): 0.5}), "logit has a token id")


def verify_faults() -> Iterator[Fault]:
    """Yield files that can be opened but fail verification."""
    whole = bytes(file_bytes(base()))
    sections = base()

    def offset(name: str) -> int:
        at = record_at(sections, name) + 56
        return int.from_bytes(whole[at : at + 8], "little")

    yield "verify-section-hash", flipped(whole, offset("block.0.out.bias")), "does not match its hash"
    for name, text in (
        ("not-utf8", b'{"a":"\xff"}'), ("control-character", b'{"a":"\x1b"}'), ("not-a-number", b'{"a":NaN}'),
        ("half-a-surrogate-pair", b'{"a":"\\ud800"}'), ("key-twice", b'{"a":1,"a":2}'), ("no-object", b"[]"),
    ):
        yield f"verify-provenance-{name}", with_section(NewSection("provenance", text, flags=0)), "provenance"
    tensor = NewSection("provenance", bytes(4), encoding=enc.VECTOR, rows=1, columns=1, flags=0)
    yield "verify-encoding-of-provenance", with_section(tensor), "provenance"
    gap = offset("embedding.weight") - 1
    assert whole[gap] == 0 and gap >= offset("tokenizer") + len(sections[1].data)
    yield "verify-gap-not-zero", flipped(whole, gap), "are not zero"
    yield "verify-padding-column-not-zero", patched("embedding.weight", 64 + 64 * 7, "B", 1), "padding is not zero"
    last = len(sections[2].data) - TILE  # the last tile has 6 rows
    yield "verify-padding-row-not-zero", patched("embedding.weight", last + 64 + 4 * 15, "B", 1), "padding is not zero"
    yield "verify-padding-scale-not-zero", patched("embedding.weight", last + 2 * 15, "H", 1), "padding scale"
    yield "verify-padding-factor-not-zero", patched("embedding.weight", last + 32 + 2 * 15, "H", 1), "padding factor"
    # 16 columns fill one of the strip's four groups.
    yield "verify-padding-group-not-zero", patched("embedding.weight", 32, "H", 1 << 4), "padding factor"
    yield "verify-scale-not-finite", patched("embedding.weight", 0, "H", 0x7C00), "not finite"
    q8 = model(tiny_config(), {"": enc.Q4, "block.0.out.weight": enc.Q8}, zero=True)
    out = next(s for s in q8 if s.name == "block.0.out.weight")
    out.data = out.data[:32] + b"\0" + out.data[33:]
    yield "verify-q8-code-zero", bytes(file_bytes(q8)), "q8 code is 0"
    q3 = model(tiny_config(), {"": enc.Q4, "embedding.weight": enc.Q3}, zero=True)
    third = 64 + 128  # bits of columns 0, 4 ... 28 of the first row
    q3[2].data = q3[2].data[:third] + b"\x10" + q3[2].data[third + 1 :]
    yield "verify-q3-padding-third-bit-not-zero", bytes(file_bytes(q3, minor=3)), "padding is not zero"
