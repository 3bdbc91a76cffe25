#!/usr/bin/env python3
"""Write the GGUF files of Tests/PhiCheckpointTests, with llama.cpp's own package, and what they hold.

    python Tools/golden/gguf_files.py        (needs torch, transformers, safetensors, gguf)

blocks.gguf has for every block type a tensor of random blocks and, named with `.f32`, the values that
gguf.dequantize gives for them; the scales are finite, some 0, subnormal or large. The others are models: names,
metadata and tokenizer as llama.cpp's conversion/phi.py and conversion/base.py write them, or wrote them at first.
rounded.gguf has F32 numbers of every size and what gguf.quantize makes of them.

    f32.gguf       the checkpoint current-safetensors-f32, element by element
    k-quants.gguf  one block of hidden size 256, q, k and v as three tensors, types of 256 elements
    fused.gguf     one block of hidden size 64, q, k and v as one tensor, types of 32 elements, F16 and BF16; version
                   2 of the format, another alignment, grouped queries, no pre-tokenizer and padding as in 2023

expected.json has, for each model, the SHA-256 of every parameter's values in 32-bit floats, in the order of
Parameter.all(layers:) and without the padding of embedding and head; and ids of texts, which AutoTokenizer gives for
the tokenizer of current-safetensors-f32 that all have.
"""

import hashlib
import json
from pathlib import Path

import gguf
import numpy as np
import safetensors.numpy
import transformers
from gguf import GGMLQuantizationType as Type
from gguf import TokenType

FIXTURES = Path(__file__).resolve().parents[2] / "Tests/PhiCheckpointTests/Fixtures"
CHECKPOINT = FIXTURES / "current-safetensors-f32"
OUT = FIXTURES / "gguf"
# Every type in blocks with the offsets of its 16-bit floats.
BLOCKS = {
    Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0], Type.Q2_K: [80, 82],
    Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208], Type.IQ4_NL: [0], Type.IQ4_XS: [0],
}  # fmt: skip
EXTREMES = np.array([0, 0x8000, 1, 0x8001, 0x03FF, 0x0400, 0x7BFF, 0xFBFF], dtype=np.uint16)
TEXTS = [
    "def add(first, second):\n    return first + second\n", "<|endoftext|>first\t\tsecond →\n",
    "      x  =  1\n\t\t\tpass", "größe, 数据 \U0001f600 it's 3.14", " <|endoftext|> <|endoftext",
    "[PAD290] [PAD286]", "",
]  # fmt: skip


def random_blocks(kind, count, random, scale=None):
    """Return `count` blocks of random bytes; scales are `scale` times 1/2 to 1, or of every size if it is None."""
    blocks = random.integers(0, 256, (count, gguf.GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    for place in BLOCKS[kind]:
        if scale is None:
            halves = random.integers(0, 0x7C00, count, dtype=np.uint16) | random.integers(0, 2, count) << 15
            halves[: len(EXTREMES)] = EXTREMES
        else:
            halves = (scale * random.uniform(0.5, 1, count)).astype(np.float16).view(np.uint16)
        blocks[:, place : place + 2] = halves.astype("<u2").view(np.uint8).reshape(count, 2)
    halves = {place + byte for place in BLOCKS[kind] for byte in (0, 1)}
    codes = [place for place in range(blocks.shape[1]) if place not in halves]
    blocks[len(EXTREMES) : len(EXTREMES) + 2, codes] = [[0], [255]]
    return blocks


def write_blocks():
    random = np.random.default_rng(20)
    writer = gguf.GGUFWriter(OUT / "blocks.gguf", "phi2")
    for kind in BLOCKS:
        blocks = random_blocks(kind, 64 if gguf.GGML_QUANT_SIZES[kind][0] == 32 else 24, random)
        values = gguf.dequantize(blocks, kind)
        assert np.isfinite(values).all()
        writer.add_tensor(kind.name, blocks, raw_dtype=kind)
        writer.add_tensor(kind.name + ".f32", values)
    finish(writer)


def write_rounded():
    """Write numbers around the bounds of F16 and of Q8_0's codes, and blocks of zeros and of one large number."""
    random = np.random.default_rng(8)
    values = random.normal(0, 1, (40, 64)).astype(np.float32) * np.exp2(random.integers(-30, 16, (40, 1))).astype("f4")
    values[0] = 0
    values[1, 1:] = 0
    values[2] = (np.arange(64) - 32) / 2
    values[2, [0, 63]] = 127
    halves = (np.arange(0, 64, dtype=np.uint16) * 499).view(np.float16).astype(np.float32)
    values[3], values[4] = halves, np.nextafter(halves, np.float32(1e9))
    values[5, :-1] = (halves[1:] + halves[:-1]) / 2
    values[6:16] = random.integers(0, 0x476F0000, (10, 64), dtype=np.uint32).view(np.float32)
    writer = gguf.GGUFWriter(OUT / "rounded.gguf", "phi2")
    writer.add_tensor("values", values)
    for kind in (Type.F16, Type.Q8_0):
        writer.add_tensor(kind.name, gguf.quantize(values, kind), raw_dtype=kind)
    finish(writer)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_metadata(writer, hidden, intermediate, heads, kv_heads, layers, kind):
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_context_length(64)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(intermediate)
    writer.add_block_count(layers)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_layer_norm_eps(1e-5)
    writer.add_rope_dimension_count(int(0.5 * hidden) // heads)
    writer.add_file_type(kind)
    writer.add_add_bos_token(False)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def add_tokenizer(writer, rows, pre="phi-2", padding=TokenType.UNUSED):
    tokenizer = transformers.AutoTokenizer.from_pretrained(CHECKPOINT)
    names = {number: token for token, number in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    tokens, types = [], []
    for number in range(rows):
        tokens.append(names.get(number, f"[PAD{number}]"))
        if number in added:
            types.append(TokenType.CONTROL if added[number].special else TokenType.USER_DEFINED)
        else:
            types.append(TokenType.NORMAL if number in names else padding)
    writer.add_tokenizer_model("gpt2")
    if pre:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    gguf.SpecialVocab(CHECKPOINT, load_merges=True).add_to_gguf(writer, quiet=True)
    return len(names)


def parameters(hidden, intermediate, kv_width, rows, layers):
    """Yield the tensors of a model with their shapes, in the order of Parameter.all(layers:)."""
    yield "token_embd.weight", (rows, hidden)
    for block in range(layers):
        for name, shape in [
            ("attn_norm", (hidden,)),
            ("attn_q", (hidden, hidden)),
            ("attn_k", (kv_width, hidden)),
            ("attn_v", (kv_width, hidden)),
            ("attn_output", (hidden, hidden)),
            ("ffn_up", (intermediate, hidden)),
            ("ffn_down", (hidden, intermediate)),
        ]:
            yield f"blk.{block}.{name}.weight", shape
            yield f"blk.{block}.{name}.bias", shape[:1]
    yield "output_norm.weight", (hidden,)
    yield "output_norm.bias", (hidden,)
    yield "output.weight", (rows, hidden)
    yield "output.bias", (rows,)


def digest(name, values, tokens):
    values = values[:tokens] if name.startswith(("token_embd", "output.")) else values
    return hashlib.sha256(np.ascontiguousarray(values, dtype="<f4").tobytes()).hexdigest()


def write_f32():
    """Write the checkpoint's tensors by the names of gguf-py's own table."""
    writer = gguf.GGUFWriter(OUT / "f32.gguf", "phi2")
    add_metadata(writer, 16, 24, 2, 2, 2, gguf.LlamaFileType.ALL_F32)
    tokens = add_tokenizer(writer, 296)
    table = gguf.get_tensor_name_map(gguf.MODEL_ARCH.PHI2, 2)
    tensors = {}
    for name, values in safetensors.numpy.load_file(CHECKPOINT / "model.safetensors").items():
        tensors[table.get_name(name, try_suffixes=(".weight", ".bias"))] = values
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    finish(writer)
    return [digest(name, tensors[name], tokens) for name, _ in parameters(16, 24, 16, 296, 2)]


def write_random(name, hidden, intermediate, kv_width, types, fuse=None, change=lambda writer: None, **tokenizer):
    """Write a model of one block and 4 heads with random values; `types` has the type of each matrix."""
    random = np.random.default_rng(len(name))
    head = hidden // 4
    writer = gguf.GGUFWriter(OUT / name, "phi2")
    change(writer)
    add_metadata(writer, hidden, intermediate, 4, kv_width // head, 1, gguf.LlamaFileType.MOSTLY_Q4_K_M)
    tokens = add_tokenizer(writer, 290, **tokenizer)
    digests, joined = [], {".weight": [], ".bias": []}
    for parameter, shape in parameters(hidden, intermediate, kv_width, 290, 1):
        module = parameter.rsplit(".", 1)[0].split(".")[-1]
        kind = types.get("attn_qkv" if fuse and module in ("attn_q", "attn_k", "attn_v") else module, Type.F32)
        if len(shape) == 1:
            kind = Type.F32
        stored = random.normal(1 if parameter.endswith("norm.weight") else 0, 0.1, shape).astype(np.float32)
        if kind in BLOCKS:
            size, length = gguf.GGML_QUANT_SIZES[kind]
            scale = 0.1 / np.abs(gguf.dequantize(random_blocks(kind, 64, random, 1), kind)).mean()
            blocks = random_blocks(kind, shape[0] * shape[1] // size, random, scale)
            stored = blocks.reshape(shape[0], shape[1] // size * length)
        elif kind != Type.F32:
            stored = gguf.quantize(stored, kind)
        digests.append(digest(parameter, gguf.dequantize(stored, kind).reshape(shape), tokens))
        if fuse and module in ("attn_q", "attn_k", "attn_v"):
            suffix = "." + parameter.rsplit(".", 1)[1]
            joined[suffix].append(stored)
            if len(joined[suffix]) < 3:
                continue
            parameter, stored = fuse + suffix, np.concatenate(joined[suffix])
        writer.add_tensor(parameter, stored, raw_dtype=kind)
    finish(writer)
    return digests


def main():
    OUT.mkdir(exist_ok=True)
    write_blocks()
    write_rounded()
    expected = {"f32.gguf": write_f32()}
    types = {
        "token_embd": Type.Q2_K, "attn_q": Type.Q3_K, "attn_k": Type.Q4_K, "attn_v": Type.Q5_K,
        "attn_output": Type.IQ4_XS, "ffn_up": Type.Q4_K, "ffn_down": Type.Q6_K, "output": Type.Q6_K,
    }  # fmt: skip
    expected["k-quants.gguf"] = write_random("k-quants.gguf", 256, 256, 256, types)
    types = {
        "token_embd": Type.Q4_1, "attn_qkv": Type.Q5_0, "attn_output": Type.F16, "ffn_up": Type.BF16,
        "ffn_down": Type.Q5_1, "output": Type.Q8_0,
    }  # fmt: skip
    expected["fused.gguf"] = write_random(
        "fused.gguf", 64, 96, 32, types, fuse="blk.0.attn_qkv", change=lambda writer: writer.add_custom_alignment(64),
        pre=None, padding=TokenType.USER_DEFINED,
    )  # fmt: skip
    file = OUT / "fused.gguf"
    contents = bytearray(file.read_bytes())
    contents[4] = 2  # versions 2 and 3 differ in nothing else
    file.write_bytes(contents)
    tokenizer = transformers.AutoTokenizer.from_pretrained(CHECKPOINT)
    texts = [{"text": text, "ids": tokenizer.encode(text)} for text in TEXTS]
    (OUT / "expected.json").write_text(json.dumps({"texts": texts, "models": expected}, indent=1) + "\n")


if __name__ == "__main__":
    main()
