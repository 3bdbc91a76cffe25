"""Measures the loss of quantised files, swift-phi's and other runtimes', of one checkpoint on one text, and its parts.

    python Bench/quantisation.py --checkpoint DIR --text FILE --scratch DIR [--phi .build/release/phi] [--calibrate
    FILE] [--llama BUILD] [--ik-llama BUILD] [--onnxruntime PYTHON] [--openvino PYTHON] [--humaneval FILE] [--mbpp FILE]

Needs torch and transformers; for llama.cpp's and ik_llama.cpp's rows their build folders with llama-quantize and
llama-imatrix, for the other runtimes' an environment each, see `int4_runtimes.py`. All engines are judged as they run,
integer activations and KV cache included, by their logits against Hugging Face in fp32. Windows have 512 tokens, of
which the second half is predicted, as llama-perplexity does. Files "imatrix" have an importance matrix of the text and
tokens that calibrate swift-phi's.

Prints tables:

- Each file's size, mean, median and 99% of the KL divergence, ratio of perplexities, how often the likeliest token is
  the same.
- The error budget of calibrated files, each part alone: a file's embedding, blocks or head in Hugging Face's model, all
  of them, the engine's integer activations (against Hugging Face with the file's weights), the file's KV cache with the
  checkpoint's weights in f32.
- With a benchmark's problems: how many of the completions (temperature 0) are those of f32, character by character, and
  the pass rates. Generated code runs in phi's sandbox.
"""
from __future__ import annotations

import argparse
import copy
import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from transformers import PhiForCausalLM, PreTrainedTokenizerFast

from inputs import Parser, at_least, checkpoint, file, folder, new_folder, one_line, read_text, runnable, said
from llama_files import Llama, built_from, run
from phitools.phi_error import PhiFileError
from phitools.phi_file import PhiFile

ROOT = Path(__file__).resolve().parents[1]
WINDOW, CALIBRATION_TOKENS = 512, 8192
JUDGED = WINDOW // 2 - 1
# With an importance matrix and, as most published files of phi are, without.
GGUF_TYPES = {"llama.cpp": ["Q3_K_M", "Q4_0", "IQ4_XS", "Q4_K_M", "Q8_0"], "ik_llama.cpp": ["IQ4_KSS", "IQ4_KS"]}
HEADER = "mean KL, 1e-3 | median | 99% | perplexity ratio | same top token |"


def judged(logits: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """Return log-probabilities of the positions that are judged, from the middle of a window to before its last."""
    rows = logits if len(logits) == JUDGED else logits[-1 - JUDGED : -1]
    return rows[:, :vocabulary].double().log_softmax(-1)


def compare(windows: torch.Tensor, right: list[torch.Tensor], found: Iterable[torch.Tensor]) -> str:
    """Return the cells of a row: how far log-probabilities are from the right ones."""
    divergences, losses, same = [], [], []
    for window, p, q in zip(windows, right, found):
        divergences.append((p.exp() * (p - q)).sum(-1))
        following = window[-JUDGED:, None]
        losses.append((p.gather(-1, following) - q.gather(-1, following))[:, 0])
        same.append((p.argmax(-1) == q.argmax(-1)).double())
    kl, loss, top = torch.cat(divergences), torch.cat(losses), torch.cat(same)
    error = torch.stack([d.mean() for d in divergences]).std() / len(divergences) ** 0.5
    return (f"{kl.mean() * 1e3:.3f} +- {error * 1e3:.3f} | {kl.median() * 1e3:.3f} | {kl.quantile(0.99) * 1e3:.2f} "
            f"| {loss.mean().exp():.4f} | {top.mean() * 100:.2f}% |")


@torch.no_grad()
def hugging_face(model: PhiForCausalLM, windows: torch.Tensor, vocabulary: int) -> Iterator[torch.Tensor]:
    for window in windows:
        yield judged(model(input_ids=window[None], use_cache=False).logits[0], vocabulary)


class Phi:
    """swift-phi's command and the files that it makes."""

    def __init__(self, command: Path, checkpoint: Path, scratch: Path) -> None:
        self.command, self.checkpoint, self.scratch = command, checkpoint, scratch

    def convert(self, name: str, *options: object) -> Path:
        file = self.scratch / f"{name.replace(' ', '-')}.phi"
        run(self.command, "convert", self.checkpoint, "-o", file, "--force", *options)
        return file

    def logits(self, file: Path, windows: torch.Tensor, vocabulary: int, *options: object) -> Iterator[torch.Tensor]:
        for window in windows:
            out = self.scratch / "logits.npy"
            run(self.command, "logits", "-m", file, "--ids", "-", "-o", out, *options,
                stdin=json.dumps(window.tolist()).encode())
            yield judged(torch.from_numpy(np.load(out)), vocabulary)

    def samples(self, file: Path, problems: str, path: Path, options: list[object]) -> tuple[list[str], float]:
        """Return completions of a benchmark's problems, and the pass rate."""
        out = self.scratch / f"{file.stem}-{problems}.jsonl"
        out.unlink(missing_ok=True)
        report = json.loads(run(
            self.command, "eval", problems, "-m", file, "--problems", path, "-o", out, "--json", *options))
        samples = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        return [s["completion"] for s in sorted(samples, key=lambda s: s["task_id"])], report["pass@1"]


def put_weights(path: Path, model: PhiForCausalLM, parts: set[str]) -> PhiForCausalLM:
    """Return a copy of the model with some of a .phi file's parts: embedding, blocks, head with its norm."""
    file = PhiFile(path)
    config = copy.deepcopy(model.config)
    if "blocks" in parts:
        config.intermediate_size = file.config.intermediate  # conversion may have added channels
    state = {k: v for k, v in model.state_dict().items() if "blocks" not in parts or ".layers." not in k}

    def tensor(name: str) -> torch.Tensor:
        return torch.from_numpy(np.array(file.tensor(name), np.float32)).squeeze(-1)

    def fill(name: str, values: torch.Tensor) -> None:
        state[name][: len(values)] = values  # a checkpoint may have more rows than tokens

    state = {k: v.clone() for k, v in state.items()}
    if "embedding" in parts:
        fill("model.embed_tokens.weight", tensor("embedding.weight"))
    if "head" in parts:
        for kind in ("weight", "bias"):
            fill(f"lm_head.{kind}", tensor(f"head.{kind}"))
            fill(f"model.final_layernorm.{kind}", tensor(f"norm.{kind}"))
    query = file.config.heads * file.config.head_size
    key = file.config.kv_heads * file.config.head_size
    for n in range(file.config.layers if "blocks" in parts else 0):
        layer, block = f"model.layers.{n}", f"block.{n}"
        for kind in ("weight", "bias"):
            state[f"{layer}.input_layernorm.{kind}"] = tensor(f"{block}.norm.{kind}")
            q, k, v, fc1 = tensor(f"{block}.in.{kind}").split([query, key, key, file.config.intermediate])
            names = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.fc1")
            state.update({f"{layer}.{name}.{kind}": values for name, values in zip(names, (q, k, v, fc1))})
        dense, fc2 = tensor(f"{block}.out.weight").split([query, file.config.intermediate], 1)
        state[f"{layer}.self_attn.dense.weight"], state[f"{layer}.mlp.fc2.weight"] = dense, fc2
        bias = tensor(f"{block}.out.bias")
        state[f"{layer}.self_attn.dense.bias"], state[f"{layer}.mlp.fc2.bias"] = bias, torch.zeros_like(bias)
    changed = PhiForCausalLM(config).eval()
    changed.load_state_dict(state)
    return changed


def build_folder(text: str) -> Path:
    """The type of an option that is a build folder of llama.cpp."""
    path = folder(text)
    built_from(path)
    return path


def windows_of(text: Path, source: Path, most: int) -> torch.Tensor:
    """Return a text's windows of token ids, not more than `most`."""
    try:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(source, local_files_only=True)
    except Exception as error:  # those of the tokenizer's library are of no other kind
        raise ValueError(f"{source}: its tokenizer cannot be read ({said(error)[:300]})") from None
    ids = torch.tensor(tokenizer(read_text(text))["input_ids"])
    if len(ids) < WINDOW:
        raise ValueError(f"{text}: has {len(ids)} tokens, and a window {WINDOW}; give a longer text")
    count = min(len(ids) // WINDOW, most)
    return ids[: count * WINDOW].view(count, WINDOW)


def load(source: Path) -> PhiForCausalLM:
    """Return the checkpoint's model in fp32; ValueError that names the folder if it is not one."""
    try:
        return PhiForCausalLM.from_pretrained(source, dtype=torch.float32, local_files_only=True).eval()
    except Exception as error:  # those of the weights' libraries are of many kinds
        raise ValueError(f"{source}: its weights cannot be read ({said(error)[:300]})") from None


def main(arguments: list[str]) -> None:
    parser = Parser(prog="quantisation", description=__doc__.split("\n")[0])
    parser.add_argument("--checkpoint", type=checkpoint, required=True)
    parser.add_argument("--text", type=file("the text to judge by"), required=True)
    parser.add_argument("--scratch", type=new_folder, required=True)
    parser.add_argument("--phi", type=runnable("make build makes phi"), default=".build/release/phi")
    parser.add_argument("--calibrate", type=file("a text"), default=ROOT / "Sources/CPhiCalibration/text.txt",
                        help="the text that calibrated files are made with, by default the built-in one")
    parser.add_argument("--llama", type=build_folder, help="the folder in which llama.cpp was built")
    parser.add_argument("--ik-llama", type=build_folder, help="the folder in which ik_llama.cpp was built")
    environment = runnable("give the Python of an environment, see int4_runtimes.py")
    parser.add_argument("--onnxruntime", type=environment, help="the Python of an environment with onnxruntime-genai")
    parser.add_argument("--openvino", type=environment, help="the Python of an environment with optimum-intel")
    parser.add_argument("--windows", type=at_least(1), default=10**9, help="use no more windows of 512 tokens")
    parser.add_argument("--humaneval", type=file("HumanEval.jsonl.gz"), help="HumanEval's problems")
    parser.add_argument("--mbpp", type=file("mbpp.jsonl"), help="MBPP's problems")
    parser.add_argument("--problems", type=at_least(1), default=10**9, help="use no more problems of each benchmark")
    parser.add_argument("--tokens", type=at_least(1), default=512, help="most tokens of a completion")
    with one_line("quantisation", PhiFileError):
        measure(parser.parse_args(arguments))


def measure(args: argparse.Namespace) -> None:
    """Prints all tables; first whatever may be missing later is tried."""
    read_text(args.calibrate)
    windows = windows_of(args.text, args.checkpoint, args.windows)
    count = len(windows)
    for python, packages in ((args.onnxruntime, "numpy, onnxruntime, onnxruntime_genai"),
                             (args.openvino, "numpy, openvino, optimum.intel")):
        if python:
            run(python, "-c", f"import {packages}")
    model = load(args.checkpoint)
    args.scratch.mkdir(parents=True, exist_ok=True)
    builds = {"llama.cpp": args.llama, "ik_llama.cpp": args.ik_llama}
    engines = {engine: Llama(build, args.scratch / engine) for engine, build in builds.items() if build}
    phi = Phi(args.phi, args.checkpoint, args.scratch)
    exact = phi.convert("f32", "--type", "f32")
    benchmarks = {name: path for name, path in (("humaneval", args.humaneval), ("mbpp", args.mbpp)) if path}
    for problems, path in benchmarks.items():
        phi.samples(exact, problems, path, ["--limit", 1, "-n", 1])
    vocabulary = PhiFile(exact).config.vocabulary
    right = list(hugging_face(model, windows, vocabulary))

    print(f"{count} windows of {WINDOW} tokens\n\n| | file | {HEADER}\n|---|---|---|---|---|---|---|")

    def row(name: str, file: Path, found: Iterable[torch.Tensor]) -> None:
        print(f"| {name} | {file.stat().st_size / 1e6:.2f} MB | {compare(windows, right, found)}", flush=True)

    files: dict[str, Path] = {}
    for kind in ("q8", "q4", "q3"):
        for name, text in ((kind, args.calibrate), (f"{kind}, no text", "none")):
            files[name] = phi.convert(name.replace(",", ""), "--type", kind, "--calibrate", text)
            row(f"swift-phi {name}", files[name], phi.logits(files[name], windows, vocabulary))
    whole = args.scratch / "f32.gguf"
    if engines:
        run(args.phi, "export", "-m", exact, "-o", whole, "--type", "f32", "--force")
    for engine, llama in engines.items():
        importance = llama.importance(whole, args.calibrate, WINDOW, CALIBRATION_TOKENS)
        for kind in GGUF_TYPES[engine]:
            for chosen in (None, importance) if kind != "Q8_0" else (None,):
                quantised = llama.quantise(whole, kind, chosen)
                found = (judged(logits, vocabulary) for logits in llama.logits(quantised, windows, JUDGED))
                row(f"{engine} {kind}{', imatrix' if chosen else ''}", quantised, found)

    runtime = Path(__file__).with_name("int4_runtimes.py")
    others: list[tuple[str, Path, str, list[object]]] = []
    if args.onnxruntime:
        others.append(("onnxruntime-genai int4", args.onnxruntime, "export-onnxruntime", []))
    if args.openvino:
        others += [(f"OpenVINO int4{', ' * bool(m)}{m.replace('_', ' ')}", args.openvino, "export-openvino",
                    [m, args.calibrate] if m else []) for m in ("", "scale_estimation", "gptq")]
    for name, python, export, options in others:
        made, ids, out = (args.scratch / n for n in (name.replace(" ", "-"), "ids.npy", "other-logits.npy"))
        shutil.rmtree(made, ignore_errors=True)  # of an earlier run
        run(python, runtime, export, args.checkpoint, made, *options)
        np.save(ids, windows.numpy())
        run(python, runtime, "logits", ids, JUDGED, out, made)
        largest = max((f for f in made.iterdir() if f.is_file()), key=lambda f: f.stat().st_size)
        row(name, largest, (judged(torch.from_numpy(x.copy()), vocabulary) for x in np.load(out, mmap_mode="r")))

    print(f"\n| part of the loss | {HEADER}\n|---|---|---|---|---|---|")
    everything = {"embedding", "blocks", "head"}
    for kind, cache in (("q8", "f16"), ("q4", "q8"), ("q3", "q8")):
        for part in ("embedding", "blocks", "head"):
            found = hugging_face(put_weights(files[kind], model, {part}), windows, vocabulary)
            print(f"| {kind}, {part} | {compare(windows, right, found)}", flush=True)
        weights = list(hugging_face(put_weights(files[kind], model, everything), windows, vocabulary))
        print(f"| {kind}, all weights | {compare(windows, right, weights)}")
        found = phi.logits(files[kind], windows, vocabulary, "--kv-cache", "f32")
        print(f"| {kind}, activations | {compare(windows, weights, found)}", flush=True)
        found = phi.logits(exact, windows, vocabulary, "--kv-cache", cache)
        print(f"| {kind}, KV cache ({cache}) | {compare(windows, right, found)}", flush=True)

    for problems, path in benchmarks.items():
        options = ["--limit", args.problems, "-n", args.tokens]
        wanted, rate = phi.samples(exact, problems, path, options)
        print(f"\n| {problems}, {len(wanted)} problems | samples equal to f32's | pass@1 |\n|---|---|---|\n"
              f"| f32 | | {rate:.4f} |")
        for name, converted in files.items():
            found, rate = phi.samples(converted, problems, path, options)
            same = sum(a == b for a, b in zip(wanted, found))
            print(f"| {name} | {same} | {rate:.4f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
