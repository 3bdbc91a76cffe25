"""Fine-tune a phi: python -m phitools.finetune --base DIR|ID --data FILE.jsonl|FOLDER --out DIR [--lora]

The base is any phi of Hugging Face's PhiForCausalLM; the data are prompts with completions, or texts. Started again
with the same options, a run goes on from its last checkpoint. Run it under torchrun for several processes.
"""
from __future__ import annotations

import argparse
import json
import re
import shlex
import sys
import time
from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import Any

from ..data import bpe
from ..durable import check_free, lock
from ..output import command, say, show
from ..packed import sha256
from ..train import base, config, processes
from ..train.check import check_options, check_run
from ..train.loop import Training
from ..train.shape import Shape
from . import estimate, examples, packing

OWN = {"data.train", "data.validation", "data.tokenizer", "run.best", "run.init", "run.mode"}
"""Keys of the trainer's configuration that follow from the options."""
MOST_VALIDATED = 1 << 18
"""Tokens of the examples held back that a validation takes at most."""


def find(given: str) -> Path:
    """Return the folder of a base, downloading a model of the hub into Hugging Face's cache."""
    if Path(given).is_dir():
        return Path(given)
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", given):
        raise FileNotFoundError(f"{given}: no such folder, and no id of a model")
    from huggingface_hub import snapshot_download
    try:
        folder = Path(snapshot_download(given, allow_patterns=["*.json", "*.txt", "*.safetensors"]))
        if not list(folder.glob("*.safetensors")):
            snapshot_download(given, allow_patterns=["pytorch_model*.bin"])
        return folder
    except Exception as error:  # its own exceptions and those of the network
        said = " ".join(str(error).split())[:200]
        raise ValueError(f"{given}: no such folder, and as a model cannot be downloaded ({said})") from None


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="phitools.finetune", description=__doc__.split("\n")[0])
    add = top.add_argument
    add("--base", required=True, help="a folder with a phi in Hugging Face layout, or a model's id on the hub")
    add("--data", type=Path, required=True, help="a .jsonl file of prompt and completion, or of text; or a folder")
    add("--out", type=Path, required=True)
    add("--lora", type=int, nargs="?", const=16, default=0, metavar="RANK", help="train LoRA of this rank (16)")
    add("--targets", default="", help="the modules that LoRA adapts, with commas; all six projections of a block")
    add("--epochs", type=float, default=3.0)
    add("--rate", type=float, default=0.0, help="peak rate; otherwise by the width, ten times as much for LoRA")
    add("--sequences", type=int, default=16, help="sequences per step")
    add("--context", type=int, default=0, help="tokens per sequence; otherwise enough for the longest example, to 2048")
    add("--validation", type=float, default=0.1, help="share of the examples for validation, below 1")
    add("--prompt", action="append", default=[], help="completed at each validation; otherwise two of its prompts")
    add("--seed", type=int, default=1)
    add("--plan", action="store_true", help="tell memory and time, and stop")
    add("--set", action="append", default=[], metavar="TABLE.KEY=VALUE", help="a key of the trainer's configuration")
    return top


def table(a: argparse.Namespace, shape: Shape, packed: dict[str, int], context: int, prompts: list[str], gpu: bool) -> \
        dict[str, Any]:
    """Return the trainer's configuration."""
    sequences = min(a.sequences, packed["rows"])
    steps = max(1, ceil(a.epochs * packed["rows"] / sequences))
    rate = a.rate or min(5e-3, 2e-5 * 2048 / shape.hidden * (10 if a.lora else 1))
    lora: dict[str, Any] = {"rank": a.lora, "alpha": float(2 * a.lora), "base": a.name if a.lora else ""}
    if a.targets:
        lora["targets"] = a.targets.split(",")
    data = a.out / "data"
    return {
        "data": {
            "train": [str(data / "train")], "validation": {"held out": str(data / "validation")},
            "validation_tokens": MOST_VALIDATED},
        "batch": {"sequences": sequences, "context": context, "separate": True},
        "schedule": {"steps": steps, "peak": rate, "warmup": min(steps // 10, 100), "kind": "cosine", "floor": 0.1},
        "optimizer": {"decay": 0.0 if a.lora else 0.01, "beta2": 0.999},
        "lora": lora,
        "run": {
            "out": str(a.out), "mode": "finetune", "init": a.base, "seed": a.seed, "best": "held out",
            "precision": "bfloat16" if gpu else "float32", "checkpoint_every": max(1, min(200, ceil(steps / 5))),
            "validate_every": max(1, ceil(steps / 10)), "keep": 1, "prompts": prompts}}


def check(a: argparse.Namespace) -> None:
    """Raise ValueError for options out of their range or without effect."""
    for key in a.set:
        if found := re.fullmatch(r"lora\.rank=(\d+)", key):
            a.lora = int(found[1])  # alpha, rate and decay follow from it
    for name, least in (("lora", 0), ("epochs", 0), ("rate", 0), ("sequences", 1), ("context", 0), ("validation", 0)):
        if not least <= getattr(a, name) < float("inf"):
            raise ValueError(f"--{name} {getattr(a, name)} is to be {least} or more")
    if not 0 < a.epochs <= 1e6:
        raise ValueError(f"--epochs {a.epochs} is to be above 0, at most 1,000,000")
    for key in a.set:
        name = key.split("=")[0]
        if name in OWN or name.startswith("model."):
            raise ValueError(f"--set {name}: fine-tuning sets it itself")
    if a.validation >= 1:
        raise ValueError(f"--validation {a.validation} is to be below 1: it is a share of the examples")
    if a.targets and not a.lora:
        raise ValueError(f"--targets {a.targets} needs --lora: without it all weights are trained")


def encoded(found: list[examples.Example], tokenizer: Any, end: int, say: Callable[[str], None]) -> \
        dict[examples.Example, packing.Coded]:
    """Return the examples' tokens, telling how many are done every ten seconds."""
    coded, last = {}, time.monotonic()
    for number, e in enumerate(found):
        if time.monotonic() - last >= 10:
            last = time.monotonic()
            say(f"examples encoded: {number:,} of {len(found):,}")
        coded[e] = packing.encode(e, tokenizer, end)
    return coded


def write(
        a: argparse.Namespace, c: config.Config, tokenizer: Any, file: Path, made: dict[str, packing.Packed]) -> None:
    """Write the packed examples, if the run may be made so: a refused one changes nothing."""
    with lock(a.out / "lock"):  # not while another run reads them
        for name in made:
            check_free(a.out / "data" / name, packing.STEP)
        check_run(c, tokenizer, sha256(file), made["train"].stream, {"held out": made["validation"].stream})
        for name, part in made.items():
            part.write(file, a.out / "data" / name)


def run(a: argparse.Namespace, p: processes.Processes) -> None:
    def tell(text: str) -> None:
        if p.first:
            say(text)
    check(a)
    given, folder = a.base, find(a.base)
    a.base, a.name = str(folder), given
    shape, tokenizer = base.read_shape(folder), bpe.load(folder)
    tokenizer.encode_special_tokens = True  # an example that has `<|endoftext|>` in it has it as text
    end = bpe.end_of_text(tokenizer)
    found, left = examples.read(a.data, a.out)
    train, held = examples.split(found, a.validation, a.seed)
    coded = encoded(found, tokenizer, end, tell) if p.first else {}
    longest = p.share(max(map(len, coded.values()), default=0))
    context = a.context or min(shape.positions, 2048, max(64, -(-longest // 64) * 64))
    if context > shape.positions:
        raise ValueError(f"--context {context}: {a.base} has {shape.positions} positions")
    made: dict[str, packing.Packed] = {}
    if p.first:
        for name, part in (("validation", held), ("train", train)):
            made[name] = packing.pack({e: coded[e] for e in part}, end, context)
            if made[name].totals["too long"]:
                reason = f"longer than {context} tokens"
                left[reason] = left.get(reason, 0) + made[name].totals["too long"]
    del coded  # large
    packed = p.share(made["train"].totals if p.first else {})
    tell(f"{given}: phi of {shape.parameters / 1e6:,.1f} M parameters; {len(train):,} examples to train, "
        f"{len(held):,} to validate, {packed['rows']:,} sequences of {context} tokens, "
        f"{100 * packed['tokens'] / packed['rows'] / context:.0f} % filled")
    if left:
        tell("left out: " + ", ".join(f"{n} {reason}" for reason, n in sorted(left.items())))
    prompts = a.prompt or [e.prompt for e in held if e.prompt][:2]
    c = config.build(table(a, shape, packed, context, prompts, p.device.type == "cuda"), a.set)
    if c.run.device not in ("auto", p.device.type):
        raise ValueError(f"run.device = {c.run.device}: this runs on {p.device.type}; the environment's "
                         "CUDA_VISIBLE_DEVICES tells which GPUs there are, empty none")
    if c.batch.sequences % p.world:
        raise ValueError(f"--sequences {c.batch.sequences} can't be divided among {p.world} processes")
    bytes_ = estimate.memory(
        shape, c.lora, c.batch.micro or c.batch.sequences // p.world, context, c.run.precision, p.world, c.run.strategy)
    need, there = sum(bytes_.values()), estimate.free(p.device, p.local)
    parts = ", ".join(f"{k} {estimate.size(v)}" for k, v in bytes_.items())
    each = " in each process" if p.world > 1 else ""
    tell(f"memory: about {estimate.size(need)}{each} besides PyTorch's own ({parts})"
        + (f"; {estimate.size(there)} are free" + (" for it" if each else "") if there else ""))
    if there and need > there:
        tell("that is more than is free: use --lora, --context, --sequences, or --set batch.micro=1")
    check_options(c, p)
    fault = ""
    if p.first:
        try:
            write(a, c, tokenizer, folder / "tokenizer.json", made)
        except (OSError, ValueError) as error:
            fault = str(error)
    del made
    if fault := p.share(fault):
        raise ValueError(fault)
    training = Training(c, p)
    seconds = training.rehearse() * (c.schedule.steps - training.done)
    tell(f"time: about {estimate.duration(seconds)} for {c.schedule.steps - training.done} steps of "
        f"{c.batch.sequences} x {context} tokens, without validations, sample completions and checkpoints")
    if a.plan:
        return
    tell(f"validation, step {training.done}: " + told(training.validate()))
    training.run()
    if p.first:
        finish(c, given)


def told(losses: dict[str, dict[str, float]]) -> str:
    return f"{losses['validation']['held out']:.4f} nats a token, {losses['bits_per_byte']['held out']:.4f} bits a byte"


def finish(c: config.Config, given: str) -> None:
    """Tell what came of it, and how to go on."""
    out = Path(c.run.out)
    lines = [json.loads(text) for text in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    best = min((r for r in lines if "validation" in r), key=lambda r: r["validation"]["held out"])
    show(f"best: step {best['step']}, {told(best)}; kept in {out / 'best'}")
    samples = [json.loads(text) for text in (out / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    for s in samples:
        if s["step"] == samples[-1]["step"]:
            show(f"--- {s['prompt']}\n{s['completion']}")
    best_folder, model = shlex.quote(str(out / "best")), shlex.quote(str(out / "model.phi"))
    source = f"{shlex.quote(given)} --adapter {best_folder}" if c.lora.rank else best_folder
    show(f"next:\nphi convert {source} -o {model} --type q8\nphi complete -m {model} 'a prompt'")


@command
def main() -> int:
    a = parser().parse_args()
    p = None
    try:
        p = processes.start("auto")
        run(a, p)
        return 0
    except (OSError, ValueError) as error:
        say(f"phitools.finetune: {error}")
        return 1
    except (MemoryError, RuntimeError) as error:
        if not processes.out_of_memory(error):
            raise
        say("phitools.finetune: out of memory; use --lora, --context, --sequences, or --set batch.micro=1")
        return 1
    except KeyboardInterrupt:
        say("phitools.finetune: interrupted; start it again to go on from the last checkpoint")
        return 130
    finally:
        if p:
            processes.stop(p)


if __name__ == "__main__":
    sys.exit(main())
