"""Measures the loss of quantised files, swift-phi's and llama.cpp's, of one checkpoint on one text.

    python Bench/quantisation.py --checkpoint DIR --text FILE --scratch DIR [--phi .build/release/phi] [--calibrate
    FILE]
        [--llama llama.cpp]

Needs torch, transformers and, for its rows, a built llama.cpp with the gguf package. Both engines are judged as they
run, integer activations and KV cache included, twice: by their logits against Hugging Face in fp32, and by their own
tools, which compare with their own engine in f32. Windows have 512 tokens, of which the second half is predicted, as
llama-perplexity does. llama.cpp's rows "weights alone" are its files' weights in the Hugging Face model.

Prints a table: size of the file, mean, median and 99% of the KL divergence, ratio of perplexities, how often the
likeliest token is the same; then the tools' own means.
"""
from __future__ import annotations

import argparse
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from transformers import PhiForCausalLM, PreTrainedTokenizerFast

WINDOW = 512
JUDGED = WINDOW // 2 - 1
GGUF_TYPES = ["Q3_K_M", "Q4_0", "IQ4_XS", "Q4_K_M", "Q8_0"]


def run(*command: object) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout or done.stderr


class Judge:
    """Compares log-probabilities with Hugging Face's, at the positions that llama-perplexity judges: from the middle of
    a window to before its last."""

    def __init__(self, model: PhiForCausalLM, windows: torch.Tensor) -> None:
        self.windows = windows
        self.truth = [logits[-1 - JUDGED : -1].double().log_softmax(-1) for logits in hugging_face(model, windows)]

    def row(self, name: str, size: int, logits: Iterator[torch.Tensor]) -> None:
        divergences, losses, same = [], [], []
        for window, truth, found in zip(self.windows, self.truth, logits):
            p, q = truth, found[-1 - JUDGED : -1].double().log_softmax(-1)
            divergences.append((p.exp() * (p - q)).sum(-1))
            following = window[-JUDGED:, None]
            losses.append((p.gather(-1, following) - q.gather(-1, following))[:, 0])
            same.append((p.argmax(-1) == q.argmax(-1)).double())
        kl, loss, top = torch.cat(divergences), torch.cat(losses), torch.cat(same)
        error = torch.stack([d.mean() for d in divergences]).std() / len(divergences) ** 0.5
        print(f"| {name} | {size / 1e6:.2f} MB | {kl.mean() * 1e3:.3f} +- {error * 1e3:.3f} | {kl.median() * 1e3:.3f} "
              f"| {kl.quantile(0.99) * 1e3:.2f} | {loss.mean().exp():.4f} | {top.mean() * 100:.2f}% |", flush=True)


@torch.no_grad()
def hugging_face(model: PhiForCausalLM, windows: torch.Tensor) -> Iterator[torch.Tensor]:
    for window in windows:
        yield model(input_ids=window[None], use_cache=False).logits[0]


def phi_logits(phi: Path, file: Path, windows: torch.Tensor, scratch: Path, *options: str) -> Iterator[torch.Tensor]:
    for window in windows:
        (scratch / "ids.json").write_text(json.dumps(window.tolist()))
        run(phi, "logits", "-m", file, "--ids", scratch / "ids.json", "-o", scratch / "logits.npy", *options)
        yield torch.from_numpy(np.load(scratch / "logits.npy"))


def llama_logits(tool: Path, file: Path, text: Path, windows: torch.Tensor, scratch: Path) -> Iterator[torch.Tensor]:
    """The log-probabilities of llama.cpp's engine, as llama-perplexity stores them, in 16 bits."""
    stored = scratch / "logits.kld"
    run(tool, "-m", file, "-f", text, "-c", WINDOW, "-t", 2, "--chunks", len(windows), "--kl-divergence-base", stored)
    with stored.open("rb") as stream:
        if stream.read(8) != b"_logits_":
            sys.exit(f"{stored}: not what llama-perplexity writes")
        context, vocabulary, chunks = np.fromfile(stream, np.int32, 3)
        tokens = np.fromfile(stream, np.int32, chunks * context).reshape(chunks, context)
        if not np.array_equal(tokens, windows.numpy()):
            sys.exit(f"{stored}: other tokens than Hugging Face's")
        # A row is its scale and its smallest log-probability, two floats, and a 16-bit step count for each token.
        row = np.dtype([("scale", np.float32), ("least", np.float32), ("steps", np.uint16, (vocabulary + 1) // 2 * 2)])
        for _ in range(chunks):
            rows = np.fromfile(stream, row, JUDGED)
            found = rows["least"][:, None] + rows["scale"][:, None] * rows["steps"][:, :vocabulary].astype(np.float32)
            # Positions that are not judged.
            yield torch.from_numpy(np.concatenate([found, found[-1:]]))
    stored.unlink()


def weights_of_gguf(path: Path, model: PhiForCausalLM) -> None:
    """Puts a file's weights into the model."""
    import gguf

    names = {"token_embd": "model.embed_tokens", "output_norm": "model.final_layernorm", "output": "lm_head"}
    for i in range(model.config.num_hidden_layers):
        for theirs, ours in (
                ("attn_norm", "input_layernorm"), ("attn_q", "self_attn.q_proj"), ("attn_k", "self_attn.k_proj"),
                ("attn_v", "self_attn.v_proj"), ("attn_output", "self_attn.dense"), ("ffn_up", "mlp.fc1"),
                ("ffn_down", "mlp.fc2")):
            names[f"blk.{i}.{theirs}"] = f"model.layers.{i}.{ours}"
    state = {}
    for tensor in gguf.GGUFReader(path).tensors:
        module, suffix = tensor.name.rsplit(".", 1)
        state[f"{names[module]}.{suffix}"] = torch.from_numpy(
            np.array(gguf.quants.dequantize(tensor.data, tensor.tensor_type)))
    model.load_state_dict(state)


def make_gguf(llama: Path, checkpoint: Path, target: Path) -> None:
    """llama.cpp's converter knows tokenizers by a hash; one of our own splits as GPT-2's does."""
    sys.path.insert(0, str(llama))
    from conversion import TextModel

    TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"
    sys.argv = ["convert", str(checkpoint), "--outfile", str(target), "--outtype", "f32"]
    runpy.run_path(str(llama / "convert_hf_to_gguf.py"), run_name="__main__")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--phi", type=Path, default=Path(".build/release/phi"))
    parser.add_argument("--calibrate", default="builtin", help="the text that calibrated files are made with")
    parser.add_argument("--llama", type=Path, help="llama.cpp's folder, built in build/")
    parser.add_argument("--windows", type=int, default=10**9, help="use no more windows of 512 tokens")
    args = parser.parse_args()
    args.scratch.mkdir(parents=True, exist_ok=True)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(args.checkpoint)
    ids = torch.tensor(tokenizer(args.text.read_text(encoding="utf-8"))["input_ids"])
    count = min(len(ids) // WINDOW, args.windows)
    windows = ids[: count * WINDOW].view(count, WINDOW)
    model = PhiForCausalLM.from_pretrained(args.checkpoint, dtype=torch.float32).eval()
    judge = Judge(model, windows)
    print(f"{count} windows of {WINDOW} tokens\n")
    print(
        "| | file | mean KL, 1e-3 | median | 99% | perplexity ratio | same top token |\n|---|---|---|---|---|---|---|")

    files = {
        "q8 without calibration": ["--type", "q8", "--calibrate", "none"],
        "q8": ["--type", "q8", "--calibrate", args.calibrate],
        "q3 without calibration": ["--type", "q3", "--calibrate", "none"],
        "q3": ["--type", "q3", "--calibrate", args.calibrate],
        "q4 without calibration": ["--type", "q4", "--calibrate", "none"],
        "q4": ["--type", "q4", "--calibrate", args.calibrate],
    }
    for name, options in files.items():
        file = args.scratch / f"{name.replace(' ', '-')}.phi"
        run(args.phi, "convert", args.checkpoint, "-o", file, "--force", *options)
        judge.row(f"swift-phi {name}", file.stat().st_size, phi_logits(args.phi, file, windows, args.scratch))
    if args.llama:
        binaries = args.llama / "build" / "bin"
        tool = binaries / "llama-perplexity"
        whole = args.scratch / "f32.gguf"
        if not whole.exists():
            make_gguf(args.llama, args.checkpoint, whole)
        for kind in GGUF_TYPES:
            file = args.scratch / f"{kind}.gguf"
            run(binaries / "llama-quantize", whole, file, kind)
            judge.row(
                f"llama.cpp {kind}", file.stat().st_size, llama_logits(tool, file, args.text, windows, args.scratch))
        for kind in GGUF_TYPES:
            file = args.scratch / f"{kind}.gguf"
            weights_of_gguf(file, model)
            judge.row(f"llama.cpp {kind}, weights alone", file.stat().st_size, hugging_face(model, windows))

    print("\nThe tools' own mean KL, 1e-3:")
    common = ["-f", args.text, "-c", WINDOW, "-t", 2, "--chunks", count]
    run(args.phi, "convert", args.checkpoint, "-o", args.scratch / "f32.phi", "--force", "--type", "f32")
    for name in files:
        file = args.scratch / f"{name.replace(' ', '-')}.phi"
        found = json.loads(
            run(args.phi, "eval", "kl", "-m", file, "--base", args.scratch / "f32.phi", *common, "--json"))
        print(f"swift-phi {name}: {found['mean_kl'] * 1e3:.3f}")
    if args.llama:
        base = args.scratch / "base.kld"
        run(tool, "-m", whole, *common, "--kl-divergence-base", base)
        for kind in GGUF_TYPES:
            file = args.scratch / f"{kind}.gguf"
            mean = None
            # It writes from another thread and, on a busy machine, can end before all is written.
            while not mean:
                found = run(tool, "-m", file, *common, "--kl-divergence-base", base, "--kl-divergence")
                mean = re.search(r"Mean +KLD: +([0-9.]+)", found)
            print(f"llama.cpp {kind}: {float(mean[1]) * 1e3:.3f}")


if __name__ == "__main__":
    main()
