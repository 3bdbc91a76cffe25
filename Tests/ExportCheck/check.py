"""Checks that llama.cpp loads what `phi export` writes, with the same tokens and logits.

    PYTHONPATH=Tools .build/export/bin/python Tests/ExportCheck/check.py .build/release/phi        `make check-export`

Converts small seeded phis of several shapes and tokenizers to f32, exports them in every type, and asks llama.cpp's
server for the tokens of texts and for the log-probabilities of all tokens after prompts. Differences are in standard
deviations of the logits: of f32 and f16 that of rounding to f16; q8_0 rounds activations as well.
"""
from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xllamacpp
from gguf import GGUFReader

from phitools.byte_tokenizer import END_OF_TEXT_ID
from phitools.seeded import write_checkpoint
from phitools.shapes import Exponents, Shape

# llama.cpp computes GELU and attention in f16 whatever the type is; found were 0.0023, 0.0033 and 0.066.
LIMITS = {"f32": 5e-3, "f16": 5e-3, "q8_0": 0.1}
BASE = Shape(
    hidden=64, intermediate=128, layers=2, heads=2, rows=320, tokens=300, context=128, end_of_text=END_OF_TEXT_ID,
    exponents=Exponents(linear=-3, head=-2, embedding=0, bias=-3, norm=-2))
SHAPES = {
    "two-heads": BASE,
    "three-heads": replace(BASE, hidden=192, intermediate=224, heads=3, rotary_factor=0.5),
    "head-size-80": replace(BASE, hidden=160, intermediate=320, rotary_factor=0.4),
    "grouped-query": replace(BASE, hidden=256, intermediate=320, heads=4, kv_heads=2),
    "full-rotary": replace(BASE, hidden=128, intermediate=160, heads=4, kv_heads=1, rotary_factor=1.0),
    "no-blocks-of-32": replace(BASE, hidden=40, intermediate=72, heads=5, exponents=replace(BASE.exponents, linear=-2)),
}
ADDED = [
    {"id": 300, "content": "<|im_end|>", "special": True, "normalized": False},
    {"id": 301, "content": "\t\t", "special": False, "normalized": False},
    {"id": 302, "content": "    ", "special": False, "normalized": False},
    {"id": 303, "content": "\u00e9t\u00e9", "special": False, "normalized": False},
]
TEXTS = [
    "def f(x):\n    return x + 1\n", "it's 3.14 don't", "  two  spaces\t\tand tabs", "<|endoftext|>a <|im_end|>\n",
    "na\u00efve \u00e9t\u00e9 \u4f60\u597d \U0001f600!", "        eight", "", " ", "the rain in spain\r\n",
]


def edit_tensors(path: Path, leave_out: str) -> None:
    """Write a safetensors file again without one tensor."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    body, kept = b"", {}
    for name, entry in sorted(header.items(), key=lambda item: item[1].get("data_offsets", [0])[0]):
        if name in (leave_out, "__metadata__"):
            continue
        begin, end = entry["data_offsets"]
        kept[name] = entry | {"data_offsets": [len(body), len(body) + end - begin]}
        body += data[8 + length + begin : 8 + length + end]
    text = json.dumps(kept).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def make(folder: Path, shape: Shape, *, tied: bool, added: bool) -> None:
    write_checkpoint(folder, shape)
    if tied:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
        edit_tensors(folder / "model.safetensors", "lm_head.weight")
    if added:
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        tokenizer["added_tokens"] += ADDED
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


class LlamaCpp:
    """llama.cpp's server with a model."""

    def __init__(self, path: Path) -> None:
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(path)
        parameters.n_ctx, parameters.n_parallel, parameters.warmup = 128, 1, False
        parameters.cache_type_k = parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        self.server = xllamacpp.Server(parameters)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.server.listening_address + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def tokens(self, text: str) -> list[int]:
        return self.post("/tokenize", {"content": text, "add_special": False, "parse_special": True})["tokens"]

    def log_probabilities(self, ids: list[int], vocabulary: int) -> np.ndarray:
        # Probabilities are those before biases. The bias chooses a letter: others may end the text.
        bias = [[64, 1e6]]
        body = {"prompt": ids, "n_predict": 1, "n_probs": vocabulary, "cache_prompt": False, "logit_bias": bias}
        found = np.full(vocabulary, np.nan)
        for token in self.post("/completion", body)["completion_probabilities"][0]["top_logprobs"]:
            found[token["id"]] = token["logprob"]
        return found


class Check:
    def __init__(self, phi: str, folder: Path) -> None:
        self.phi, self.folder, self.faults, self.worst = phi, folder, 0, dict.fromkeys(LIMITS, 0.0)

    def run(self, *arguments: str, text: str = "") -> str:
        return subprocess.run([self.phi, *arguments], input=text, capture_output=True, text=True, check=True).stdout

    def fault(self, text: str) -> None:
        self.faults += 1
        print(f"FAULT: {text}")

    def model(self, name: str, shape: Shape, *, tied: bool, added: bool) -> None:
        folder, phi = self.folder / name, self.folder / f"{name}.phi"
        make(folder, shape, tied=tied, added=added)
        self.run("convert", str(folder), "-o", str(phi), "--type", "f32")
        prompts = [[(7 * i * i + 11 * n) % shape.tokens for i in range(n)] for n in (1, 2, 17, 60)]
        expected = [self.logits(phi, ids) for ids in prompts]
        texts = {text: json.loads(self.run("tokenize", "-m", str(phi), "--ids", text=text)) for text in TEXTS}
        for kind, limit in LIMITS.items():
            gguf = self.folder / f"{name}.{kind}.gguf"
            self.run("export", "-m", str(phi), "-o", str(gguf), "--type", kind)
            reader = GGUFReader(gguf)
            if reader.get_field("general.name").contents() != name:  # type: ignore[union-attr]
                self.fault(f"{gguf.name} has another name")
            llama = LlamaCpp(gguf)
            for text, ids in texts.items():
                if llama.tokens(text) != ids:
                    self.fault(f"{gguf.name}: {text!r} is {llama.tokens(text)}, not {ids}")
            for ids, logits in zip(prompts, expected):
                found = llama.log_probabilities(ids, len(logits))
                wanted = logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
                error = float(np.abs(found - wanted).max() / logits.std())
                self.worst[kind] = max(self.worst[kind], error)
                if not error <= limit:
                    self.fault(f"{gguf.name}: the logits after {len(ids)} tokens differ by {error:.2g}")

    def logits(self, phi: Path, ids: list[int]) -> np.ndarray:
        (self.folder / "ids.json").write_text(json.dumps(ids))
        out = self.folder / "logits.npy"
        self.run("logits", "-m", str(phi), "--ids", str(self.folder / "ids.json"), "-o", str(out))
        return np.load(out)[-1].astype(np.float64)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        check = Check(str(Path(sys.argv[1]).resolve()), Path(folder))
        for name, shape in SHAPES.items():
            check.model(name, shape, tied=False, added=False)
        check.model("tied", BASE, tied=True, added=False)
        check.model("added-tokens", BASE, tied=False, added=True)
        check.model("tied-added-tokens", SHAPES["grouped-query"], tied=True, added=True)
    worst = ", ".join(f"{kind} {error:.2g}" for kind, error in check.worst.items())
    print(f"largest differences in standard deviations: {worst}; {check.faults} faults")
    return 1 if check.faults else 0


if __name__ == "__main__":
    sys.exit(main())
